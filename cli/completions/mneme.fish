# fish completion for mneme

function __mneme_is
    set -l words (commandline -opc)
    set -e words[1]
    set -l found
    set -l skip no
    for word in $words
        if test $skip = yes
            set skip no
        else if contains -- $word -d --recovery --snapshot
            set skip yes
        else if not string match -q -- '-*' $word
            set -a found $word
        end
    end
    if test (count $argv) -eq 0
        test (count $found) -eq 0
    else if contains -- "$argv[1]" wal config snapshot temporal cache; and test (count $argv) -eq 1
        test (count $found) -eq 1; and test $found[1] = $argv[1]
    else
        contains -- "$found[1]" $argv; or contains -- "$found[1] $found[2]" $argv
    end
end

complete -c mneme -f
complete -c mneme -s d -r -a '(__fish_complete_directories)' -d 'Directory of the store'
complete -c mneme -l recovery -x -a 'tail strict' -d 'What to do with damage'
complete -c mneme -l snapshot -x -d 'Read this snapshot'
complete -c mneme -l help -d 'Explain'
complete -c mneme -l version -d 'Print the version'

complete -c mneme -n __mneme_is -a create -d 'Make a namespace'
complete -c mneme -n __mneme_is -a drop -d 'Remove a namespace and all its records'
complete -c mneme -n __mneme_is -a namespaces -d 'List the namespaces'
complete -c mneme -n __mneme_is -a exists -d 'Tell whether a namespace or a record is there'
complete -c mneme -n __mneme_is -a dimension -d 'Print the elements per vector of a namespace'
complete -c mneme -n __mneme_is -a count -d 'Print the number of live records'
complete -c mneme -n __mneme_is -a put -d 'Store records from standard input'
complete -c mneme -n __mneme_is -a import -d 'Store records from files'
complete -c mneme -n __mneme_is -a search -d 'Print the records whose vectors are nearest'
complete -c mneme -n __mneme_is -a export -d 'Print all records, as put takes them'
complete -c mneme -n __mneme_is -a get -d 'Print records by id'
complete -c mneme -n __mneme_is -a delete -d 'Remove records by id'
complete -c mneme -n __mneme_is -a purge -d 'Erase records from every file of the store'
complete -c mneme -n __mneme_is -a list -d 'Print the ids of all records'
complete -c mneme -n __mneme_is -a temporal -d 'Points over time'
complete -c mneme -n __mneme_is -a cache -d 'Answers, found exactly or by meaning'
complete -c mneme -n __mneme_is -a checkpoint -d 'Write everything into segments and trim the log'
complete -c mneme -n __mneme_is -a flush -d 'Make everything acknowledged durable'
complete -c mneme -n __mneme_is -a stats -d 'Print the numbers of the store'
complete -c mneme -n __mneme_is -a verify -d 'Read every byte of the store and check it'
complete -c mneme -n __mneme_is -a salvage -d 'Recover what is left of a damaged store'
complete -c mneme -n __mneme_is -a snapshot -d 'Make, list, check, remove and restore snapshots'
complete -c mneme -n __mneme_is -a config -d 'Print or change settings'
complete -c mneme -n __mneme_is -a wal -d 'Look into the write-ahead log'
complete -c mneme -n __mneme_is -a completion -d 'Print the completion script for a shell'

complete -c mneme -n '__mneme_is wal' -a 'stats dump'
complete -c mneme -n '__mneme_is snapshot' -a 'create list show exists verify delete prune restore'
complete -c mneme -n '__mneme_is temporal' \
    -a 'create alter drop spaces entities put get asof next latest range timeline delete drift changes nearest plot'
complete -c mneme -n '__mneme_is cache' \
    -a 'put get lookup exists list tenants delete drop invalidate cleanup budget stats'
complete -c mneme -n '__mneme_is config' -a 'get set list'
complete -c mneme -n '__mneme_is "config get" "config set"' \
    -a 'sync sync_every_commits sync_interval_ms wal_file_bytes \
    sweep_interval_ms sweep_batch_records sweep_time_cap_ms \
    checkpoint_bytes checkpoint_interval_ms checkpoint_records memory_bytes_max \
    pinned_bytes_max max_snapshots cache_bytes_max cache_entries_max \
    cache_tenant_bytes_max cache_tenant_entries_max snapshot_dir archive_dir'
complete -c mneme -n '__mneme_is completion' -a 'bash zsh fish'

complete -c mneme -n '__mneme_is salvage' -F
complete -c mneme -n '__mneme_is create' -l dimension -x -d 'Elements per vector'
complete -c mneme -n '__mneme_is put import' -l batch -x -d 'Records per commit'
complete -c mneme -n '__mneme_is put import' -l ack -x -a 'none os disk' -d 'Durability'
complete -c mneme -n '__mneme_is import' -l rows -r -F -d 'JSON Lines'
complete -c mneme -n '__mneme_is import' -l vectors -r -F -d 'NumPy file'
complete -c mneme -n '__mneme_is import export' -l vectors-file -r -F -d 'NumPy file'
complete -c mneme -n '__mneme_is import' -l format -x -a 'flat put' -d 'Format of the lines'
complete -c mneme -n '__mneme_is import' -l id-field -x -d 'Field that holds the id'
complete -c mneme -n '__mneme_is get export search' -l vectors -x -a 'json base64 none' -d 'Form'
complete -c mneme -n '__mneme_is export list' -l limit -x -d 'At most N lines'
complete -c mneme -n '__mneme_is export list' -l after -x -d 'Only ids behind this one'
complete -c mneme -n '__mneme_is export list' -l until -x -d 'Only ids before this one'
complete -c mneme -n '__mneme_is export list' -l reverse -d 'The last id first'
complete -c mneme -n '__mneme_is list' -l prefix -x -d 'Only ids that begin so'
complete -c mneme -n '__mneme_is list search namespaces count stats verify "wal stats"' -l table -d 'Columns'
complete -c mneme -n '__mneme_is list search namespaces count stats verify "wal stats"' -l human -d 'Numbers for people'
complete -c mneme -n '__mneme_is search' -l vector -x -d 'Compare with this one'
complete -c mneme -n '__mneme_is search' -l vector-file -r -F -d 'Row of a NumPy file'
complete -c mneme -n '__mneme_is search' -l id -x -d 'Vector of this record'
complete -c mneme -n '__mneme_is search' -s k -x -d 'At most N results'
complete -c mneme -n '__mneme_is search' -l metric -x -a 'cosine dot l2' -d 'What is near'
complete -c mneme -n '__mneme_is search' -l min-score -x -d 'Only this or higher'
complete -c mneme -n '__mneme_is search' -l offset -x -d 'Passes over the N best'
complete -c mneme -n '__mneme_is search' -l threads -x -a '1 2' -d 'How many'
complete -c mneme -n '__mneme_is search' -l full-scan -d 'Compare every vector whole'
complete -c mneme -n '__mneme_is search' -l timeout -x -d 'End if it takes longer'
complete -c mneme -n '__mneme_is search' -l stats -d 'What the search did'
complete -c mneme -n '__mneme_is "temporal create"' -l dimension -x -d 'Elements per vector'
complete -c mneme -n '__mneme_is "temporal create"' -l name -x -d 'Of the space'
complete -c mneme -n '__mneme_is "temporal create" "temporal alter"' -l keep -x -d 'Points no older than this'
complete -c mneme -n '__mneme_is "temporal create" "temporal alter"' -l keep-points -x -d 'The newest of each entity'
complete -c mneme -n '__mneme_is "temporal create" "temporal alter"' -l history -x -d 'Replaced versions stay so long'
complete -c mneme -n '__mneme_is "temporal create" "temporal alter"' -l keyframe-every -x -d 'One vector of N whole'
complete -c mneme -n '__mneme_is "temporal asof" "temporal range"' -l known-at -x -d 'What was known at this LSN'
complete -c mneme -n '__mneme_is "temporal spaces" "temporal entities" "temporal nearest"' -l table -d 'Columns'
complete -c mneme -n '__mneme_is "temporal spaces" "temporal entities" "temporal nearest"' -l human -d 'Numbers for people'
complete -c mneme -n '__mneme_is "temporal entities" "temporal range"' -l limit -x -d 'At most N lines'
complete -c mneme -n '__mneme_is "temporal entities"' -l after -x -d 'Only entities above this one'
complete -c mneme -n '__mneme_is "temporal put"' -l batch -x -d 'Points per commit'
complete -c mneme -n '__mneme_is "temporal put"' -l ack -x -a 'none os disk' -d 'Durability'
complete -c mneme -n '__mneme_is "temporal get" "temporal asof" "temporal next" "temporal latest" "temporal range" "temporal nearest"' \
    -l vectors -x -a 'json base64 none' -d 'Form'
complete -c mneme -n '__mneme_is "temporal range" "temporal delete" "temporal changes" "temporal nearest" "temporal plot"' -l from -x -d 'From this time on'
complete -c mneme -n '__mneme_is "temporal range" "temporal delete" "temporal changes" "temporal nearest" "temporal plot"' -l to -x -d 'Up to this time'
complete -c mneme -n '__mneme_is "temporal range"' -l descending -d 'The last point first'
complete -c mneme -n '__mneme_is "temporal delete"' -l all -d 'All points of the entity'
complete -c mneme -n '__mneme_is "temporal drift"' -l top -x -d 'At most N dimensions'
complete -c mneme -n '__mneme_is "temporal changes"' -l penalty -x -d 'For each change'
complete -c mneme -n '__mneme_is "temporal changes"' -l min-length -x -d 'Points of a segment'
complete -c mneme -n '__mneme_is "temporal changes"' -l stats -d 'How they were found'
complete -c mneme -n '__mneme_is "temporal nearest"' -l vector -x -d 'Compare with this one'
complete -c mneme -n '__mneme_is "temporal nearest"' -l vector-file -r -F -d 'Row of a NumPy file'
complete -c mneme -n '__mneme_is "temporal nearest"' -l at -x -d 'As of this time'
complete -c mneme -n '__mneme_is "temporal nearest"' -s k -x -d 'At most N results'
complete -c mneme -n '__mneme_is "temporal nearest" "temporal plot"' -l metric -x -a 'cosine l2' -d 'What is near'
complete -c mneme -n '__mneme_is "temporal nearest"' -l alpha -x -d 'Share of the vectors'
complete -c mneme -n '__mneme_is "temporal nearest"' -l half-life -x -d 'Seconds to a decay of one half'
complete -c mneme -n '__mneme_is "temporal nearest"' -l around -x -d 'Where there is no decay'
complete -c mneme -n '__mneme_is "temporal plot"' -l svg -r -F -d 'Write a picture'
complete -c mneme -n '__mneme_is "temporal nearest"' -l timeout -x -d 'End if it takes longer'
complete -c mneme -n '__mneme_is "temporal nearest"' -l stats -d 'What the search did'
complete -c mneme -n '__mneme_is "cache put"' -l if-absent -d 'Leave what is there'
complete -c mneme -n '__mneme_is "cache put"' -l ack -x -a 'none os disk' -d 'Durability'
complete -c mneme -n '__mneme_is "cache put"' -l stream -d 'Standard input is the payload'
complete -c mneme -n '__mneme_is "cache put"' -l payload-file -r -F -d 'The payload'
complete -c mneme -n '__mneme_is "cache put"' -l id -x -d 'Of the entry'
complete -c mneme -n '__mneme_is "cache put"' -l ttl -x -d 'How long it is good'
complete -c mneme -n '__mneme_is "cache put" "cache get" "cache lookup" "cache invalidate"' -l key -x -d 'Exact key'
complete -c mneme -n '__mneme_is "cache put" "cache get" "cache lookup"' -l request -x -d 'The key is made of it'
complete -c mneme -n '__mneme_is "cache put" "cache get" "cache lookup" "cache invalidate"' -l model -x -d 'Tag of the model'
complete -c mneme -n '__mneme_is "cache put" "cache lookup" "cache invalidate"' -l context -x -d 'What else it depends on'
complete -c mneme -n '__mneme_is "cache put" "cache lookup"' -l embedding -x -d 'Of the question'
complete -c mneme -n '__mneme_is "cache get"' -l embedding -d 'Print it too'
complete -c mneme -n '__mneme_is "cache put" "cache lookup"' -l embedding-file -r -F -d 'Row of a NumPy file'
complete -c mneme -n '__mneme_is "cache get"' -l raw -d 'The payload alone'
complete -c mneme -n '__mneme_is "cache get" "cache lookup"' -l peek -d 'Count no hit'
complete -c mneme -n '__mneme_is "cache lookup"' -l min-similarity -x -d 'Cosine that is enough'
complete -c mneme -n '__mneme_is "cache lookup"' -l candidates -x -d 'How many embeddings are compared'
complete -c mneme -n '__mneme_is "cache lookup"' -l refined -x -d 'How many of them are kept'
complete -c mneme -n '__mneme_is "cache lookup"' -l any-model -d 'Of all models'
complete -c mneme -n '__mneme_is "cache lookup"' -l any-context -d 'Of all contexts'
complete -c mneme -n '__mneme_is "cache lookup"' -l stats -d 'What was done'
complete -c mneme -n '__mneme_is "cache list"' -l limit -x -d 'At most N lines'
complete -c mneme -n '__mneme_is "cache list"' -l after -x -d 'Only ids above this one'
complete -c mneme -n '__mneme_is "cache invalidate"' -l older-than -x -d 'Event time longer ago'
complete -c mneme -n '__mneme_is "cache invalidate"' -l before -x -d 'Event time before this'
complete -c mneme -n '__mneme_is "cache invalidate"' -l all -d 'All of the tenant'
complete -c mneme -n '__mneme_is "cache budget"' -l bytes -x -d 'Of its own'
complete -c mneme -n '__mneme_is "cache budget"' -l entries -x -d 'Of its own'
complete -c mneme -n '__mneme_is "cache budget"' -l default -d 'That of the settings'
complete -c mneme -n '__mneme_is purge' -l all -d 'The whole namespace'
complete -c mneme -n '__mneme_is "wal dump"' -l from -x -d 'First LSN'
complete -c mneme -n '__mneme_is "snapshot create"' -l description -x -d 'Text kept with it'
complete -c mneme -n '__mneme_is "snapshot create"' -l incremental -d 'Against the newest one'
complete -c mneme -n '__mneme_is "snapshot create"' -l parent -x -d 'Against this one'
complete -c mneme -n '__mneme_is "snapshot create"' -l to -r -a '(__fish_complete_directories)' -d 'Export to'
complete -c mneme -n '__mneme_is "snapshot create"' -l compress -d 'An export'
complete -c mneme -n '__mneme_is "snapshot create"' -l without-metadata -d 'An export'
complete -c mneme -n '__mneme_is "snapshot list" "snapshot show" "snapshot exists" "snapshot verify" "snapshot delete" "snapshot prune" "snapshot restore"' \
    -l from -r -a '(__fish_complete_directories)' -d 'Pool or export'
complete -c mneme -n '__mneme_is "snapshot list"' -l table -d 'Aligned columns'
complete -c mneme -n '__mneme_is "snapshot list"' -l human -d 'Columns, numbers for people'
complete -c mneme -n '__mneme_is "snapshot prune"' -l keep -x -d 'How many'
complete -c mneme -n '__mneme_is "snapshot restore"' -l into -r -a '(__fish_complete_directories)' -d 'New store'
complete -c mneme -n '__mneme_is "snapshot restore"' -l replace -d 'The store'
complete -c mneme -n '__mneme_is "snapshot restore"' -l namespace -x -d 'Only A, called B there'
complete -c mneme -n '__mneme_is "snapshot restore"' -l dry-run -d 'Change nothing'
complete -c mneme -n '__mneme_is "snapshot restore"' -l at-lsn -x -d 'As it was after this commit'
complete -c mneme -n '__mneme_is "snapshot restore"' -l at-time -x -d 'As it was at this time'
complete -c mneme -n '__mneme_is "snapshot restore"' -l archive -r -a '(__fish_complete_directories)' -d 'Where the log was kept'
