// Runs real programs and prints `name nanoseconds`, the best of some runs of each. As process 1 it
// says first that it was reached, and powers the machine off at the end.
//
// Each line of the file `programs` is a name and a command, with tabs between its words; words that
// begin with < and > are standard input and output.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64 };

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static void redirect(int descriptor, const char *path, int flags) {
  int file = open(path, flags, 0600);
  if (file < 0 || dup2(file, descriptor) < 0) _exit(126);
}

static void become(char **words) {
  redirect(0, "/dev/null", O_RDONLY);
  redirect(1, "/dev/null", O_WRONLY);
  int count = 0;
  char *arguments[WORDS];
  for (int i = 0; words[i]; i++) {
    if (words[i][0] == '<') redirect(0, words[i] + 1, O_RDONLY);
    else if (words[i][0] == '>') redirect(1, words[i] + 1, O_WRONLY | O_CREAT | O_TRUNC);
    else arguments[count++] = words[i];
  }
  arguments[count] = 0;
  execv(arguments[0], arguments);
  _exit(127);
}

// The time of one run, of some copies at once, or a negative number if one failed.
static double run(char **words, int copies) {
  double start = nanoseconds();
  for (int i = 0; i < copies; i++) {
    pid_t child = fork();
    if (child == 0) become(words);
    if (child < 0) return -1;
  }
  int failed = 0, status;
  while (wait(&status) > 0) failed |= status;
  return failed ? -1 : nanoseconds() - start;
}

int main(void) {
  int is_init = getpid() == 1;
  const char *only = getenv("BENCH_ONLY"), *copies = getenv("BENCH_COPIES");
  setvbuf(stdout, 0, _IOLBF, 0);
  setenv("HOME", "/tmp", 1);
  setenv("PATH", "/usr/bin:/bin", 1);
  setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
  if (is_init) puts("apus-bench: init");
  FILE *list = fopen("/programs", "r");
  char line[4096];
  while (list && fgets(line, sizeof line, list)) {
    line[strcspn(line, "\n")] = 0;
    char *words[WORDS], *rest = line, *word;
    int count = 0;
    while (count < WORDS - 1 && (word = strsep(&rest, "\t"))) words[count++] = word;
    words[count] = 0;
    if (count < 2 || (only && strcmp(only, words[0]))) continue;
    double best = -1;
    for (int repeat = 0; repeat < 3; repeat++) {
      double each = run(words + 1, copies ? atoi(copies) : 1);
      if (each >= 0 && (best < 0 || each < best)) best = each;
    }
    if (best < 0) printf("apus-bench: failed-%s 0\n", words[0]);
    else printf("apus-bench: %s %.0f\n", words[0], best);
  }
  puts("apus-bench: end 0");
  if (is_init) {
    sync();
    reboot(RB_POWER_OFF);
  }
  return 0;
}
