# bash completion for mneme

_mneme_options() {
    case $1 in
    create) echo --dimension ;;
    put) echo --batch --ack ;;
    import) echo --rows --vectors --vectors-file --format --id-field --batch --ack ;;
    export) echo --limit --after --until --reverse --vectors --vectors-file ;;
    get) echo --vectors ;;
    search)
        echo --vector --vector-file --id -k --metric --min-score --offset --vectors --threads \
            --full-scan --timeout --stats --table --human
        ;;
    list) echo --limit --after --until --prefix --reverse --table --human ;;
    namespaces | count | stats | verify | 'wal stats') echo --table --human ;;
    purge) echo --all ;;
    'wal dump' | 'snapshot show' | 'snapshot exists' | 'snapshot verify' | 'snapshot delete')
        echo --from
        ;;
    'temporal create') echo --dimension --name --keep --keep-points --history --keyframe-every ;;
    'temporal alter') echo --keep --keep-points --history --keyframe-every ;;
    'temporal spaces') echo --table --human ;;
    'temporal entities') echo --limit --after --table --human ;;
    'temporal put') echo --batch --ack ;;
    'temporal asof') echo --known-at --vectors ;;
    'temporal get' | 'temporal next' | 'temporal latest') echo --vectors ;;
    'temporal range') echo --from --to --descending --limit --known-at --vectors ;;
    'temporal delete') echo --from --to --all ;;
    'temporal drift') echo --top ;;
    'temporal nearest')
        echo --vector --vector-file --at --from --to -k --metric --alpha --half-life --around \
            --vectors --timeout --stats --table --human
        ;;
    'temporal plot') echo --from --to --metric --svg ;;
    'temporal changes') echo --from --to --penalty --min-length --stats ;;
    'cache put')
        echo --if-absent --ack --stream --payload-file --id --key --request --model --context \
            --embedding --embedding-file --ttl
        ;;
    'cache get') echo --key --request --model --embedding --raw --peek ;;
    'cache lookup')
        echo --key --request --embedding --embedding-file --min-similarity --candidates --refined \
            --model --any-model --context --any-context --stats --peek
        ;;
    'cache list') echo --limit --after ;;
    'cache invalidate') echo --key --context --model --older-than --before --all ;;
    'cache budget') echo --bytes --entries --default ;;
    'snapshot create') echo --description --incremental --parent --to --compress --without-metadata ;;
    'snapshot list') echo --from --table --human ;;
    'snapshot prune') echo --keep --from ;;
    'snapshot restore') echo --into --replace --namespace --dry-run --from --at-lsn --at-time --archive ;;
    esac
}

_mneme() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local word command='' skip='' n_words=0 i
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $skip ]]; then
            skip=''
        elif [[ $word == -d || $word == --recovery || $word == --snapshot ]]; then
            skip=yes
        elif [[ $word != -* ]]; then
            if [[ -z $command ]]; then
                command=$word
            elif [[ " wal config snapshot temporal cache " == *" $command "* ]]; then
                command="$command $word"
            else
                n_words=$((n_words + 1))
            fi
        fi
    done

    case $prev in
    -d | --into | --archive) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
    --rows | --vectors-file | --vector-file | --svg | --payload-file | --embedding-file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
    --from | --to)
        [[ $command == snapshot* ]] && mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --recovery) mapfile -t COMPREPLY < <(compgen -W 'tail strict' -- "$cur") && return ;;
    --ack) mapfile -t COMPREPLY < <(compgen -W 'none os disk' -- "$cur") && return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'flat put' -- "$cur") && return ;;
    --metric)
        local metrics='cosine dot l2'
        [[ $command == temporal* ]] && metrics='cosine l2'
        mapfile -t COMPREPLY < <(compgen -W "$metrics" -- "$cur") && return
        ;;
    --vectors)
        if [[ $command == import ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W 'json base64 none' -- "$cur")
        fi
        return
        ;;
    esac

    local words='--help'
    if [[ $cur == -* ]]; then
        words="-d --recovery --snapshot --help --version $(_mneme_options "$command")"
    else
        case $command in
        '')
            words='create drop namespaces exists dimension count put import search export get
                delete purge list temporal cache checkpoint flush stats verify salvage snapshot config
                wal completion'
            ;;
        wal) words='stats dump' ;;
        temporal)
            words='create alter drop spaces entities put get asof next latest range timeline delete
                drift changes nearest plot'
            ;;
        cache)
            words='put get lookup exists list tenants delete drop invalidate cleanup budget stats'
            ;;
        snapshot) words='create list show exists verify delete prune restore' ;;
        salvage) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
        config) words='get set list' ;;
        'config get' | 'config set')
            words=''
            if [[ $n_words == 0 ]]; then
                words='sync sync_every_commits sync_interval_ms wal_file_bytes
                    sweep_interval_ms sweep_batch_records sweep_time_cap_ms
                    checkpoint_bytes checkpoint_interval_ms checkpoint_records memory_bytes_max
                    pinned_bytes_max max_snapshots cache_bytes_max cache_entries_max
                    cache_tenant_bytes_max cache_tenant_entries_max snapshot_dir archive_dir'
            elif [[ $n_words == 1 && $command == 'config set' && $prev == sync ]]; then
                words='every_write every_n every_ms manual'
            fi
            ;;
        completion) words='bash zsh fish' ;;
        *) return ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _mneme mneme
