// The files that the guest sees: those of the image, or the host's with an overlay in memory.
#ifndef ROOT_H
#define ROOT_H

#include "system.h"

/// Loads the kernel's modules that the image has: /etc/apus/modules/0, 1 and so on.
void root_load_modules(void);

/// Mounts what /etc/apus/mounts says: strings with a zero byte behind each, a share's tag and where
/// to mount it, by turns. A share for "/" becomes the root, under an overlay in memory, with what is
/// mounted already. False, with a message, when something cannot be mounted.
bool root_mount_shares(void);

#endif
