"""Recordings of voice-like sounds that are the same everywhere, quiet ones and loud ones."""

import numpy as np

LENGTHS = (4001, 25600, 40000, 48123, 70000)  # samples at 16 kHz


def waves() -> list[np.ndarray]:
    found = []
    for number, samples in enumerate(LENGTHS):
        time = np.arange(samples) / 16000
        tones = [
            np.sin(2 * np.pi * (95 + 31 * number) * k * time + k * number) / k for k in range(1, 12)
        ]
        level = 0.003 if number % 2 else 0.2
        found.append((level * (1 + 0.5 * np.sin(9 * time)) * sum(tones) / 3).astype(np.float32))
    return found
