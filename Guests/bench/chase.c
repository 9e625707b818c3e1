// A linked list in random order that fits the second-level cache: latency of loads.
#include "bench.h"

#define NODES 4096

struct node {
  struct node *next;
  uint64_t value[7];
};

static struct node nodes[NODES];

__attribute__((constructor)) static void prepare(void) {
  static uint32_t order[NODES];
  uint32_t random = 7;
  for (uint32_t i = 0; i < NODES; i++) order[i] = i;
  for (uint32_t i = NODES - 1; i > 0; i--) {
    random = random * 1664525 + 1013904223;
    uint32_t j = (random >> 8) % (i + 1), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
  for (uint32_t i = 0; i < NODES; i++) {
    nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
    nodes[order[i]].value[0] = i;
  }
}

static uint64_t run(void) {
  struct node *node = nodes;
  uint64_t sum = 0;
  for (int i = 0; i < 100 * NODES; i++) {
    sum += node->value[0];
    node = node->next;
  }
  return sum;
}

BENCH("chase", 100.0 * NODES, run)
