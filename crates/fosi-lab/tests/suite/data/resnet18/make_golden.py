"""Makes `weights.pth` and `features.csv`, by which the tests check the ResNet-18 here against torchvision's.

    pip install torch torchvision
    python make_golden.py

All weights are overlapping strided views of a few seeded random vectors, which PyTorch stores once each: the file of
11.7 million parameters takes some kilobytes. `features.csv` has the 512 pooled features of each of two images, whose
entry number i (batch, channel, row, column, row-major) is sin(i²/10,000).
"""

import torch
import torchvision

SIDE = 64
LENGTH = 3072
# Different for each axis, so that an exchange of axes is noticed.
STRIDES = {4: (2, 1, 5, 3), 2: (2, 1), 1: (1,)}

torch.manual_seed(18)
torch.set_num_threads(1)
normal = torch.randn(LENGTH)
weights, positive, small = 0.026 * normal, 0.8 + 0.2 * normal.abs(), 0.1 * normal


def view(vector, shape, start):
    strides = STRIDES[len(shape)]
    extent = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides))
    return vector.as_strided(shape, strides, start % (LENGTH - extent))


model = torchvision.models.resnet18(weights=None).eval()
state = model.state_dict()
for number, (name, tensor) in enumerate(state.items()):
    if tensor.dim() == 0:
        continue  # batch norm's count of batches
    if tensor.dim() > 1:
        vector = weights
    elif name.endswith(("running_var", "weight")):
        vector = positive
    else:
        vector = small
    state[name] = view(vector, tensor.shape, 97 * number)
model.load_state_dict(state)
torch.save(state, "weights.pth")

entries = torch.arange(2 * 3 * SIDE * SIDE, dtype=torch.float64)
images = torch.sin(entries**2 / 10000).float().reshape(2, 3, SIDE, SIDE)
model.fc = torch.nn.Identity()
with torch.no_grad():
    features = model(images)
with open("features.csv", "w") as file:
    for row in features.tolist():
        file.write(",".join(f"{value:.7g}" for value in row) + "\n")
