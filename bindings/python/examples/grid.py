# %% A grid of pictures, and the way from one to another: python grid.py FILE.drift [OUT.png], or cell by cell in a notebook.
import sys

import matplotlib.pyplot as plt

import driftlet

# %% Load
model = driftlet.Model.open(sys.argv[1])
print(model)

# %% A row for each class
seeds = range(8)
figure, axes = plt.subplots(len(model.class_names) + 1, len(seeds), figsize=(8, 11), layout="constrained")
for row, name in zip(axes, model.class_names):
    for axis, picture in zip(row, model.sample(name, seed=0, count=len(seeds), guidance=1.5)):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %% The way from seed 0 to seed 1
for axis, picture in zip(axes[-1], model.interpolate(0, 1, len(seeds), label=model.class_names[-1], guidance=1.5)):
    axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
axes[-1][0].set_ylabel("seed 0 to 1", rotation=0, ha="right", va="center")

# %% Show or save
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
if len(sys.argv) > 2:
    plt.savefig(sys.argv[2], dpi=100)
else:
    plt.show()
