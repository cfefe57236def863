/*
 * s3_credentials.c - settings of an S3 store: options, AWS_* variables, shared credentials file.
 *
 * Owns:    copies of the strings, the secret ones wiped at the end.
 * Threads: any.
 * Fails:   MN_ERR_ACCESS when nothing names credentials, and says where it looked.
 */
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "object/s3_settings_private.h"
#include "object/s3_sign_private.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static void free_secret(char *text)
{
    if (text != NULL)
        mni_s3_wipe(text, strlen(text));
    mni_free(text);
}

void mni_s3_settings_done(struct mni_s3_settings *settings)
{
    free_secret(settings->access_key);
    free_secret(settings->secret_key);
    free_secret(settings->session_token);
    mni_free(settings->region);
    mni_free(settings->endpoint);
    mni_free(settings->ca_file);
    *settings = (struct mni_s3_settings){0};
}

static mn_status copy(const char *text, size_t n, char **copy_out, struct mn_error *err)
{
    char *made = mni_alloc(n + 1);

    if (made == NULL)
        return mni_fail(err, MN_ERR_NOMEM, "a setting of the object store");
    memcpy(made, text, n);
    made[n] = '\0';
    free_secret(*copy_out);
    *copy_out = made;
    return MN_OK;
}

/* A variable that is set and not empty. */
static const char *variable(struct mni_env *env, const char *name)
{
    const char *value = mni_env_variable(env, name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* The first of these that is there; MN_OK with `copy_out` untouched when none is. */
static mn_status copy_first(struct mni_env *env, const char *option, const char *const *names,
                            char **copy_out, struct mn_error *err)
{
    const char *value = option;

    for (; value == NULL && *names != NULL; names++)
        value = variable(env, *names);
    return value == NULL ? MN_OK : copy(value, strlen(value), copy_out, err);
}

/* The shared credentials file --------------------------------------------------------------------
 */

/* Reads a whole file by the path of a user. */
static mn_status read_file(struct mni_env *env, const char *path, struct mni_buf *text_out,
                           struct mn_error *err)
{
    char dir_path[MNI_PATH_BYTES_MAX];
    struct mni_dir *dir = NULL;
    struct mni_file *file = NULL;
    uint64_t n_bytes = 0;
    size_t n_read = 0;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t dir_bytes = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    if (dir_bytes >= sizeof dir_path)
        return mni_fail(err, MN_ERR_LIMIT, "a path of %zu bytes", strlen(path));
    if (strlen(name) >= MNI_NAME_BYTES_MAX)
        return mni_fail(err, MN_ERR_LIMIT, "a file name longer than %d bytes",
                        MNI_NAME_BYTES_MAX - 1);
    memcpy(dir_path, slash == NULL ? "." : path, slash == NULL ? 1 : dir_bytes);
    dir_path[slash == NULL ? 1 : dir_bytes] = '\0';

    mn_status st = mni_env_open_dir(env, dir_path, false, &dir, err);
    if (st == MN_OK)
        st = mni_dir_open_file(dir, name, MNI_OPEN_READ, &file, err);
    if (st == MN_OK)
        st = mni_file_size(file, &n_bytes, err);
    if (st == MN_OK && n_bytes > FILE_BYTES_MAX)
        st = mni_fail(err, MN_ERR_LIMIT, "a file of more than %d bytes", FILE_BYTES_MAX);
    if (st == MN_OK && mni_buf_reserve(text_out, (size_t)n_bytes) != MN_OK)
        st = mni_fail(err, MN_ERR_NOMEM, "a file of %zu bytes", (size_t)n_bytes);
    if (st == MN_OK && n_bytes > 0)
        st = mni_file_read(file, 0, text_out->data, (size_t)n_bytes, &n_read, err);
    text_out->n_bytes = n_read;
    mni_file_close(file);
    mni_dir_close(dir);
    return st;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static struct mn_slice trim(const char *begin, const char *end)
{
    while (begin < end && is_space(*begin))
        begin++;
    while (end > begin && is_space(end[-1]))
        end--;
    return (struct mn_slice){begin, (size_t)(end - begin)};
}

/* A comment begins with "#" or ";" at the beginning of a line or behind a space. */
static struct mn_slice without_comment(struct mn_slice line)
{
    const char *text = line.data;

    for (size_t i = 0; i < line.n_bytes; i++)
        if ((text[i] == '#' || text[i] == ';') && (i == 0 || is_space(text[i - 1])))
            return trim(text, text + i);
    return line;
}

static bool is_name(struct mn_slice text, const char *name)
{
    const char *at = text.data;

    if (text.n_bytes != strlen(name))
        return false;
    for (size_t i = 0; i < text.n_bytes; i++) {
        char c = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];
        if (c != name[i])
            return false;
    }
    return true;
}

static mn_status take_line(struct mn_slice line, struct mni_s3_settings *settings,
                           struct mn_error *err)
{
    const char *begin = line.data;
    const char *end = begin + line.n_bytes;
    const char *equals = memchr(begin, '=', line.n_bytes);

    if (equals == NULL)
        return MN_OK;
    struct mn_slice name = trim(begin, equals);
    struct mn_slice value = trim(equals + 1, end);
    char **field = is_name(name, "aws_access_key_id")       ? &settings->access_key
                   : is_name(name, "aws_secret_access_key") ? &settings->secret_key
                   : is_name(name, "aws_session_token")     ? &settings->session_token
                                                            : NULL;
    if (field == NULL || value.n_bytes == 0)
        return MN_OK;
    return copy(value.data, value.n_bytes, field, err);
}

/* Takes the keys of one profile; a profile may have several sections, of which the last wins. */
static mn_status parse_file(const struct mni_buf *text, const char *profile,
                            struct mni_s3_settings *settings, bool *has_profile_out,
                            struct mn_error *err)
{
    const char *at = (const char *)text->data;
    const char *end = at == NULL ? NULL : at + text->n_bytes;
    bool is_ours = false;
    mn_status st = MN_OK;

    if (text->n_bytes >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    while (st == MN_OK && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        struct mn_slice line = without_comment(trim(at, line_end));
        const char *c = line.data;
        if (line.n_bytes >= 2 && c[0] == '[' && c[line.n_bytes - 1] == ']') {
            struct mn_slice name = trim(c + 1, c + line.n_bytes - 1);
            is_ours = name.n_bytes == strlen(profile) &&
                      memcmp(name.data, profile, name.n_bytes) == 0;
            *has_profile_out |= is_ours;
        } else if (is_ours && line.n_bytes > 0) {
            st = take_line(line, settings, err);
        }
        at = line_end + (line_end < end ? 1 : 0);
    }
    return st;
}

static mn_status path_of_file(struct mni_env *env, struct mni_buf *path_out, struct mn_error *err)
{
    const char *given = variable(env, "AWS_SHARED_CREDENTIALS_FILE");
    const char *home = variable(env, "HOME");
    const char *rest = given == NULL ? "/.aws/credentials" : given;
    mn_status st = MN_OK;

    if (given != NULL && given[0] == '~' && given[1] == '/')
        rest = given + 1;
    if (given == NULL || rest != given) {
        if (home == NULL)
            return mni_fail(err, MN_ERR_ACCESS,
                            "no credentials: none given, no AWS_ACCESS_KEY_ID, and no HOME for "
                            "~/.aws/credentials");
        st = mni_buf_append(path_out, home, strlen(home));
    }
    if (st == MN_OK)
        st = mni_buf_append(path_out, rest, strlen(rest) + 1);
    return st == MN_OK ? MN_OK : mni_fail(err, MN_ERR_NOMEM, "a path");
}

static mn_status load_file(struct mni_env *env, struct mni_s3_settings *settings,
                           struct mn_error *err)
{
    const char *profile = variable(env, "AWS_PROFILE");
    struct mni_buf path = {0};
    struct mni_buf text = {0};
    bool has_profile = false;
    mn_status st = path_of_file(env, &path, err);

    if (profile == NULL)
        profile = "default";
    const char *name = (const char *)path.data;
    if (st != MN_OK)
        goto out;
    st = read_file(env, name, &text, err);
    if (st == MN_NOT_FOUND)
        st = mni_fail(err, MN_ERR_ACCESS,
                      "no credentials: none given, no AWS_ACCESS_KEY_ID, and no file %s", name);
    else if (st != MN_OK)
        mni_error_prefix(err, "credentials file %s", name);
    if (st == MN_OK)
        st = parse_file(&text, profile, settings, &has_profile, err);
    if (st == MN_OK && (settings->access_key == NULL || settings->secret_key == NULL))
        st = mni_fail(err, MN_ERR_ACCESS,
                      "no credentials: none given, no AWS_ACCESS_KEY_ID, and in %s %s [%s]%s", name,
                      has_profile ? "the profile" : "there is no profile", profile,
                      has_profile ? " lacks aws_access_key_id or aws_secret_access_key" : "");
out:
    if (text.data != NULL)
        mni_s3_wipe(text.data, text.capacity_bytes);
    mni_buf_done(&text);
    mni_buf_done(&path);
    return st;
}

/* All settings -----------------------------------------------------------------------------------
 */

static mn_status load_credentials(struct mni_env *env, const struct mn_object_s3_options *options,
                                  struct mni_s3_settings *settings, struct mn_error *err)
{
    const char *id = options->access_key;
    const char *key = options->secret_key;
    const char *token = options->session_token;

    if ((id == NULL) != (key == NULL) || (token != NULL && id == NULL))
        return mni_fail(err, MN_ERR_INVALID,
                        "access_key and secret_key (and session_token) are given together");
    if (id == NULL) {
        id = variable(env, "AWS_ACCESS_KEY_ID");
        key = variable(env, "AWS_SECRET_ACCESS_KEY");
        token = variable(env, "AWS_SESSION_TOKEN");
        if ((id == NULL) != (key == NULL))
            return mni_fail(err, MN_ERR_ACCESS, "%s is set, but not %s",
                            id == NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID",
                            id == NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY");
    }
    if (id == NULL)
        return load_file(env, settings, err);
    mn_status st = copy(id, strlen(id), &settings->access_key, err);
    if (st == MN_OK)
        st = copy(key, strlen(key), &settings->secret_key, err);
    if (st == MN_OK && token != NULL)
        st = copy(token, strlen(token), &settings->session_token, err);
    return st;
}

/* Most of these stand in headers, where a space at an end or two in a row would change: a line end
 * or such a space is a slip of whoever copied them. The message does not show them. */
static mn_status check_text(const char *text, const char *what, struct mn_error *err)
{
    char before = ' ';

    if (text == NULL)
        return MN_OK;
    if (text[0] == '\0')
        return mni_fail(err, MN_ERR_INVALID, "the %s is empty", what);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < ' ' || *at >= 0x7f)
            return mni_fail(err, MN_ERR_INVALID,
                            "the %s has a control character or one that is not ASCII", what);
        if (*at == ' ' && (before == ' ' || at[1] == '\0'))
            return mni_fail(err, MN_ERR_INVALID, "the %s has a space at an end, or two in a row",
                            what);
        before = *at;
    }
    return MN_OK;
}

mn_status mni_s3_settings_load(struct mni_env *env, const struct mn_object_s3_options *options,
                               struct mni_s3_settings *settings_out, struct mn_error *err)
{
    static const char *const regions[] = {"AWS_REGION", "AWS_DEFAULT_REGION", NULL};
    static const char *const endpoints[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL};
    static const char *const ca_files[] = {"AWS_CA_BUNDLE", NULL};
    struct mni_s3_settings settings = {0};
    mn_status st = copy_first(env, options->region, regions, &settings.region, err);

    if (st == MN_OK && settings.region == NULL)
        st = copy("us-east-1", 9, &settings.region, err);
    if (st == MN_OK)
        st = copy_first(env, options->endpoint, endpoints, &settings.endpoint, err);
    if (st == MN_OK)
        st = copy_first(env, options->ca_file, ca_files, &settings.ca_file, err);
    if (st == MN_OK)
        st = load_credentials(env, options, &settings, err);
    if (st == MN_OK)
        st = check_text(settings.region, "region", err);
    if (st == MN_OK &&
        strspn(settings.region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_.") != strlen(settings.region))
        st = mni_fail(err, MN_ERR_INVALID,
                      "region %s: only letters, digits, \"-\", \"_\" and "
                      "\".\"",
                      settings.region);
    if (st == MN_OK)
        st = check_text(settings.access_key, "access key", err);
    if (st == MN_OK)
        st = check_text(settings.secret_key, "secret key", err);
    if (st == MN_OK)
        st = check_text(settings.session_token, "session token", err);
    if (st == MN_OK)
        *settings_out = settings;
    else
        mni_s3_settings_done(&settings);
    return st;
}
