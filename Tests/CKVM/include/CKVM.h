// KVM's numbers as this machine's kernel headers have them, which Swift cannot read by itself.
#ifndef CKVM_H
#define CKVM_H

struct kvm_number {
  const char *name;
  unsigned long number;
};

/// Entry `index` of the table; beyond its end the name is null.
struct kvm_number kvm_request(int index);

#endif
