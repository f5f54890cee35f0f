#pragma once
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>

// Function-like macros, which Swift can't import.
static inline uint32_t seccomp_act_errno(int error) { return SCMP_ACT_ERRNO(error); }
static inline uint32_t seccomp_act_allow(void) { return SCMP_ACT_ALLOW; }
static inline struct scmp_arg_cmp seccomp_masked_equal(unsigned int argument, uint64_t mask, uint64_t value) {
  return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, mask, value);
}
// All 64 bits: a pointer whose lower half is zero isn't NULL.
static inline struct scmp_arg_cmp seccomp_null(unsigned int argument) { return SCMP_CMP(argument, SCMP_CMP_EQ, 0); }
static inline struct scmp_arg_cmp seccomp_not_null(unsigned int argument) { return SCMP_CMP(argument, SCMP_CMP_NE, 0); }
