// Several machines run at once in one process, made and ended in turn.
#include "guest.h"

#include <pthread.h>

static void *count_to_hundred(void *nothing) {
  (void)nothing;
  for (int round = 0; round < 5; round++) {
    struct guest guest = GUEST(counting);
    for (int value = 1; value <= 100; value++) {
      expect(&guest, KVM_EXIT_IO);
      CHECK(written(&guest) == value);
    }
    CHECK(munmap(guest.run, guest.run_size) == 0);
    CHECK(close(guest.cpu) == 0 && close(guest.machine) == 0 && close(guest.device) == 0);
    CHECK(munmap(guest.memory, MEMORY) == 0);
  }
  return NULL;
}

/// A processor may be run by one thread after another.
static void *run_once(void *argument) {
  expect(argument, KVM_EXIT_IO);
  return NULL;
}

int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, count_to_hundred, NULL) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);

  struct guest guest = GUEST(counting);
  for (int value = 1; value <= 10; value++) {
    CHECK(pthread_create(&threads[0], NULL, run_once, &guest) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0);
    CHECK(written(&guest) == value);
  }
  return 0;
}
