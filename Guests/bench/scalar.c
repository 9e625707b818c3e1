// Five bodies under gravity: scalar double arithmetic with square roots and divisions.
#include "bench.h"

#include <math.h>
#include <string.h>

#define BODIES 5
#define STEPS 4000

struct body {
  double x, y, z, vx, vy, vz, mass;
};

static const struct body start[BODIES] = {
    {0, 0, 0, 0, 0, 0, 39.47},
    {4.84, -1.16, -0.10, 0.61, 2.81, -0.02, 0.037},
    {8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011},
    {12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017},
    {15.37, -25.92, 0.18, 0.97, 0.59, -0.03, 0.0020},
};

static uint64_t run(void) {
  struct body bodies[BODIES];
  memcpy(bodies, start, sizeof bodies);
  for (int step = 0; step < STEPS; step++) {
    for (int i = 0; i < BODIES; i++) {
      struct body *a = &bodies[i];
      for (int j = i + 1; j < BODIES; j++) {
        struct body *b = &bodies[j];
        double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
        double square = dx * dx + dy * dy + dz * dz;
        double pull = 0.001 / (square * sqrt(square));
        a->vx -= dx * b->mass * pull;
        a->vy -= dy * b->mass * pull;
        a->vz -= dz * b->mass * pull;
        b->vx += dx * a->mass * pull;
        b->vy += dy * a->mass * pull;
        b->vz += dz * a->mass * pull;
      }
    }
    for (int i = 0; i < BODIES; i++) {
      bodies[i].x += 0.001 * bodies[i].vx;
      bodies[i].y += 0.001 * bodies[i].vy;
      bodies[i].z += 0.001 * bodies[i].vz;
    }
  }
  uint64_t bits;
  memcpy(&bits, &bodies[0].x, sizeof bits);
  return bits;
}

BENCH("scalar-fp", STEPS, run)
