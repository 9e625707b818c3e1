"""Fifty boots in a row, without one failure or stray process."""

import time

from support import ApusTest

BOOTS = 50


class Many(ApusTest):
    def test_fifty_boots(self):
        times = []
        for number in range(BOOTS):
            begin = time.monotonic()
            status, output, errors = self.guest("echo", str(number))
            self.assertEqual((status, output, errors), (0, f"{number}\n", ""), f"boot {number}")
            times.append(time.monotonic() - begin)
        times.sort()
        print(f"{BOOTS} boots: median {times[BOOTS // 2]:.2f} s, slowest {times[-1]:.2f} s")
