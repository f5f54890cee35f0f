// curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt take variadic arguments, which Swift can't call:
// one shim for each argument type. The compiler then checks what curl's own macros check in C.
#pragma once
#include <curl/curl.h>
#include <sys/socket.h>

static inline CURLcode botburrow_curl_set_long(CURL *easy, CURLoption option, long value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode botburrow_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(easy, option, value);
}
/// curl copies the string (all options used here are of that sort).
static inline CURLcode botburrow_curl_set_string(CURL *easy, CURLoption option, const char *value) {
  return curl_easy_setopt(easy, option, value);
}
/// curl keeps the pointer: it must outlive the transfer.
static inline CURLcode botburrow_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return curl_easy_setopt(easy, option, value);
}
static inline CURLcode botburrow_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(easy, option, value);
}
typedef size_t (*botburrow_curl_callback)(char *bytes, size_t size, size_t count, void *context);
/// For CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION, whose types are the same.
static inline CURLcode botburrow_curl_set_callback(CURL *easy, CURLoption option, botburrow_curl_callback callback) {
  return curl_easy_setopt(easy, option, callback);
}
static inline CURLcode botburrow_curl_get_long(CURL *easy, CURLINFO info, long *value) {
  return curl_easy_getinfo(easy, info, value);
}
static inline CURLMcode botburrow_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

/// curl 7.88 opens sockets that programs started meanwhile inherit; their peers would then never see them closed.
static inline curl_socket_t botburrow_curl_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)context;
  (void)purpose;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}
static inline CURLcode botburrow_curl_use_private_sockets(CURL *easy) {
  return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, botburrow_curl_open_socket);
}
