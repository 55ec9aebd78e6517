/* What examples/zephyr uses of Zephyr, declared by hand for a compiler to check
 * its sources against: a stand-in, where no Zephyr is. Signatures as in
 * Zephyr's documentation of 3.3 and 4.x.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define ARG_UNUSED(name) (void)(name)
#define __noinit __attribute__((section(".noinit")))
#define __ASSERT(condition, text) (void)(condition)

typedef struct {
  int64_t ticks;
} k_timeout_t;
#define K_FOREVER ((k_timeout_t){-1})

struct k_sem {
  unsigned int count;
};
#define K_SEM_DEFINE(name, initial, limit) struct k_sem name = {initial}

int k_sem_take(struct k_sem *sem, k_timeout_t timeout);
void k_sem_give(struct k_sem *sem);
void k_yield(void);
uint32_t k_cycle_get_32(void);
