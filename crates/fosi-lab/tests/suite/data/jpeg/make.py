#!/usr/bin/env python3
"""Writes the JPEG files beside it with Pillow (libjpeg): pip install pillow; ./make.py"""

import io
import struct
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
picture = Image.new("RGB", (40, 24))
picture.putdata([(6 * x, 10 * y, (x * y * 7) % 256) for y in range(24) for x in range(40)])


def save(name, **options):
    picture.save(HERE / f"{name}.jpg", quality=60, **options)


save("baseline")
save("restarts", restart_marker_blocks=1)
save("progressive", progressive=True)
save("comment", comment=b"\xff\xd9 is no end here, nor is \xff\xda a start")
# A thumbnail, with both markers of its own, as cameras put it into the header.
small = io.BytesIO()
picture.resize((8, 8)).save(small, "jpeg", quality=30)
save("thumbnail", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + bytes(6) + small.getvalue())
