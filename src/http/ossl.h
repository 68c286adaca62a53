/*
 * ossl.h - OpenSSL's headers.  They declare a type named ERR_STATE, which is
 * one of our error numbers (base/err.h); here it gets another name.
 */
#ifndef HTTP_OSSL_H
#define HTTP_OSSL_H

#define ERR_STATE	ossl_err_state
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#undef ERR_STATE

#endif
