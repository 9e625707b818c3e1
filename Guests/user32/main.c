// A 32-bit user program for a 64-bit guest: what compatibility mode has and 64-bit mode has not.
//
// Built with: gcc -m32 -static -nostdlib -fno-pie -fno-pic -no-pie -O1 -o user32 main.c
// Expected on standard output, with exit status 32:
//   pointers of 4 bytes
//   decimal adjust: 0x14
//   pusha and popa: kept
//   one-byte inc: 0x80000000, overflow
//   system call by int 0x80: pid agrees
//   system call by the kernel's page: pid agrees
//   division by zero: signal 8

typedef unsigned int u32;

static long call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(a), "c"(b), "d"(c)
                   : "memory");
  return result;
}

enum { EXIT = 1, FORK = 2, WRITE = 4, WAITPID = 7, GETPID = 20 };

static void print(const char *text) {
  u32 count = 0;
  while (text[count]) count++;
  call(WRITE, 1, (long)text, (long)count);
}

static void print_hexadecimal(u32 value) {
  char digits[11] = "0x";
  int shift = 28, at = 2;
  while (shift > 0 && !(value >> shift)) shift -= 4;
  for (; shift >= 0; shift -= 4) digits[at++] = "0123456789abcdef"[value >> shift & 15];
  digits[at] = 0;
  print(digits);
}

/// 0x06 + 0x08, corrected to decimal digits.
static u32 decimal_adjust(void) {
  u32 value = 0x06;
  __asm__("addb $0x08, %%al\n\tdaa" : "+a"(value) : : "cc");
  return value;
}

static int keeps_registers(void) {
  u32 before = 0x1234, after = before;
  __asm__ volatile("pushal\n\tmovl $0, %0\n\tpopal" : "+S"(after) : : "memory");
  return before == after;
}

/// 0x40 is INC EAX here and a REX prefix in 64-bit mode.
static void increment(void) {
  u32 value = 0x7fffffff;
  unsigned char overflow;
  __asm__(".byte 0x40\n\tseto %1" : "+a"(value), "=q"(overflow) : : "cc");
  print_hexadecimal(value);
  print(overflow ? ", overflow\n" : ", no overflow\n");
}

/// The kernel's own entry (SYSENTER or SYSCALL), whose address it passes behind the environment.
static long pid_through_page(long *stack) {
  long *next = stack + 1;
  while (*next) next++;
  next++;
  while (*next) next++;
  for (next++; next[0]; next += 2) {
    if (next[0] != 32) continue;
    long result;
    __asm__ volatile("call *%1" : "=a"(result) : "r"(next[1]), "a"(GETPID) : "memory");
    return result;
  }
  return -1;
}

/// The signal that ends a child that divides by zero.
static int division_by_zero(void) {
  long child = call(FORK, 0, 0, 0);
  if (child == 0) {
    __asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" : : "a"(1), "d"(0) : "ecx", "cc");
    call(EXIT, 0, 0, 0);
  }
  int report = 0;
  call(WAITPID, child, (long)&report, 0);
  return report & 0x7f;
}

__attribute__((used)) void begin(long *stack) {
  print(sizeof(void *) == 4 ? "pointers of 4 bytes\n" : "pointers of another size\n");
  print("decimal adjust: ");
  print_hexadecimal(decimal_adjust());
  print(keeps_registers() ? "\npusha and popa: kept\n" : "\npusha and popa: lost\n");
  print("one-byte inc: ");
  increment();
  long pid = call(GETPID, 0, 0, 0);
  print("system call by int 0x80: ");
  print(pid > 0 ? "pid agrees\n" : "no pid\n");
  print("system call by the kernel's page: ");
  print(pid_through_page(stack) == pid ? "pid agrees\n" : "pid differs\n");
  print("division by zero: ");
  print(division_by_zero() == 8 ? "signal 8\n" : "another end\n");
  call(EXIT, 32, 0, 0);
}

__asm__(".globl _start\n"
        "_start: xorl %ebp, %ebp\n"
        "movl %esp, %eax\n"
        "andl $-16, %esp\n"
        "subl $12, %esp\n"
        "pushl %eax\n"
        "call begin\n");
