#!/usr/bin/env python3
"""Writes the WAV files beside it with libsndfile, SciPy, Python's own module, SoX and FFmpeg.

All hold the upper bits of the same 37 numbers of 32 bits, at 8 kHz; `tests/suite/wav.rs` computes these for itself.

    pip install numpy scipy soundfile; apt install sox ffmpeg; ./make.py
"""

import subprocess
import wave
from pathlib import Path

import numpy
import scipy.io.wavfile
import soundfile

HERE = Path(__file__).parent
RATE = 8000
NUMBERS = ((numpy.arange(37, dtype=numpy.uint64) * 2654435761 + 12345) % 2**32).astype(numpy.uint32).view(numpy.int32)


def packed(bits):
    """The upper bits, little-endian, as many bytes as they need."""
    size = (bits + 7) // 8
    kept = NUMBERS & numpy.int32(-1 << (32 - bits))
    return kept.reshape(-1, 1).view(numpy.uint8)[:, 4 - size:].tobytes()


def run(*command, data):
    return subprocess.run([str(part) for part in command], input=data, stdout=subprocess.PIPE, check=True).stdout


floats = NUMBERS / 2.0**31
for subtype in ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]:
    for container in ["WAV", "WAVEX"]:
        name = HERE / f"libsndfile-{container}-{subtype}.wav".lower()
        bits = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}.get(subtype, 32)
        data = (NUMBERS & numpy.int32(-1 << (32 - bits))) if subtype.startswith("PCM") else floats
        soundfile.write(name, data, RATE, subtype=subtype, format=container)

scipy.io.wavfile.write(HERE / "scipy-u8.wav", RATE, ((NUMBERS >> 24) + 128).astype(numpy.uint8))
scipy.io.wavfile.write(HERE / "scipy-i16.wav", RATE, (NUMBERS >> 16).astype(numpy.int16))
scipy.io.wavfile.write(HERE / "scipy-i32.wav", RATE, NUMBERS)
scipy.io.wavfile.write(HERE / "scipy-f32.wav", RATE, floats.astype(numpy.float32))
scipy.io.wavfile.write(HERE / "scipy-f64.wav", RATE, floats)

for bits in [16, 24, 32]:
    with wave.open(str(HERE / f"python-i{bits}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(bits // 8)
        file.setframerate(RATE)
        file.writeframes(packed(bits))

for bits in [16, 24, 32]:
    raw = ["sox", "-D", "-t", "raw", "-r", RATE, "-c", 1, "-e", "signed", "-b", bits, "-L", "-"]
    run(*raw, "-t", "wav", HERE / f"sox-i{bits}.wav", data=packed(bits))
    # Through a pipe it can't go back to write the length.
    (HERE / f"sox-pipe-i{bits}.wav").write_bytes(run(*raw, "-t", "wav", "-", data=packed(bits)))

for bits in [16, 24, 32]:
    raw = ["ffmpeg", "-v", "error", "-y", "-f", f"s{bits}le", "-ar", RATE, "-ac", 1, "-i", "-"]
    coded = ["-c:a", f"pcm_s{bits}le", "-f", "wav"]
    tags = ["-metadata", "artist=odd", "-metadata", "title=even"]
    run(*raw, *coded, *tags, HERE / f"ffmpeg-i{bits}.wav", data=packed(bits))
    (HERE / f"ffmpeg-pipe-i{bits}.wav").write_bytes(run(*raw, *coded, *tags, "-", data=packed(bits)))
raw = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", RATE, "-ac", 1, "-i", "-", "-c:a", "pcm_s16le"]
bext = ["-write_bext", 1, "-metadata", "description=a description", "-metadata", "coding_history=odd"]
run(*raw, *bext, "-f", "wav", HERE / "ffmpeg-bext-i16.wav", data=packed(16))
run(*raw, "-rf64", "always", "-f", "wav", HERE / "ffmpeg-rf64-i16.wav", data=packed(16))
