"""Writes log_mel.bin.gz: log-mel patches of five signals, computed by other implementations than the crate's.

    pip install librosa==0.11.0 tensorflow-cpu==2.21.0
    python log_mel.py log_mel.bin.gz

The spectrogram is librosa's (f64; its window lies in the middle of the 512 samples of a transform, hence the padding
by 56 zeros), and TensorFlow's must agree with it to 1e-9. The mel weights are TensorFlow's, with which YAMNet is
defined: straight in mel, while librosa's are straight in Hz.

The file holds, little-endian f32, every fifth frame (0, 5, ..., 95) of each patch of each signal, in their order, 64
bands a frame. The signals are formulas that tests/log_mel.rs repeats.
"""

import gzip
import sys

import librosa
import numpy as np
import tensorflow as tf

RATE = 16000


def noise(length, amplitude):
    """A linear congruential generator's upper 16 bits."""
    state, samples = 1, np.empty(length)
    for i in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        samples[i] = amplitude * ((state >> 16) / 32768.0 - 1.0)
    return samples


def signals():
    t = np.arange(15600) / RATE
    yield noise(15600, 0.5)
    yield sum(0.3 * np.sin(2 * np.pi * f * t) for f in (440.0, 1000.0, 3150.0))
    # A loud tone beside a quiet noise: rounding of the tone must not show in the noise.
    yield 0.9 * np.sin(2 * np.pi * 700.0 * t) + noise(15600, 1e-3)
    # A recording's shape: a sweep under an envelope that rises and dies, then the zeros of the padding.
    voice = np.exp(-8 * t) * np.sin(np.pi * np.minimum(t / 0.45, 1)) * np.sin(2 * np.pi * (200 * t + 1500 * t**2))
    yield np.where(t < 0.45, voice, 0.0)
    # Two patches of a sweep over the whole band, and a rest that fills none.
    t = np.arange(31000 + 777) / RATE
    yield 0.7 * np.sin(2 * np.pi * (50 * t + 1950 * t**2))


def patches(samples, weights):
    samples = samples.astype(np.float32).astype(np.float64)
    spectrum = np.abs(
        librosa.stft(np.pad(samples, 56), n_fft=512, hop_length=160, win_length=400, window="hann", center=False)
    ).T
    other = np.abs(tf.signal.stft(samples, frame_length=400, frame_step=160, fft_length=512).numpy())
    frames = min(len(spectrum), len(other))
    assert np.max(np.abs(spectrum[:frames] - other[:frames])) < 1e-9
    frames -= frames % 96
    return np.log(spectrum[:frames] @ weights + 0.01)


def main(out):
    weights = tf.signal.linear_to_mel_weight_matrix(64, 257, RATE, 125.0, 7500.0, dtype=tf.float64).numpy()
    rows = [patches(samples, weights).reshape(-1, 96, 64)[:, ::5].reshape(-1, 64) for samples in signals()]
    data = np.concatenate(rows).astype("<f4").tobytes()
    with open(out, "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
