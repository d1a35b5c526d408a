/* The functions of libcurl that mongod links to. It calls some at its start, and none later. */
#include <stddef.h>

static const char *const protocols[] = {"https", NULL};
static const struct {
    int age;
    const char *version;
    unsigned number;
    const char *host;
    int features;
    const char *ssl;
    long ssl_number;
    const char *zlib;
    const char *const *protocols;
} info = {0, "7.61.0", 0x073d00, "stub", 1 << 2 | 1 << 7, "stub", 0, "", protocols}; /* SSL, asynchronous names */

int curl_global_init(long flags) { (void)flags; return 0; }
const void *curl_version_info(int now) { (void)now; return &info; }
void curl_global_cleanup(void) {}

#define RETURNS(value, name) const void *name(void) { return value; }
RETURNS(&info, curl_easy_duphandle)
RETURNS(&info, curl_easy_init)
RETURNS(&info, curl_share_init)
RETURNS("", curl_easy_strerror)
/* CURLE_OK, CURLSHE_OK, or nothing */
RETURNS(NULL, curl_easy_cleanup)
RETURNS(NULL, curl_easy_getinfo)
RETURNS(NULL, curl_easy_perform)
RETURNS(NULL, curl_easy_setopt)
RETURNS(NULL, curl_share_cleanup)
RETURNS(NULL, curl_share_setopt)
RETURNS(NULL, curl_slist_append)
RETURNS(NULL, curl_slist_free_all)
