"""Which objects are hardest, and what goes wrong with them? With pandas.

    python examples/worst_objects.py results.parquet

The cells marked `# %%` run one by one in editors that know them.
"""

# %% Only the columns that are asked about: masks are most of the file.
import sys

import pandas as pd

path = sys.argv[1]
columns = ["take_uid", "object", "direction", "gt_state", "confidence", "area", "iou", "location_error"]
frames = pd.read_parquet(path, columns=columns)
visible = frames[frames["gt_state"] == "visible"].copy()

# %% "cup_0" and "cup_1" are two cups: pool objects of a kind.
visible["kind"] = visible["object"].str.replace(r"_\d+$", "", regex=True)

# %% Three ways to fail: nothing predicted, the wrong place, the right place but a poor mask.
visible["missed"] = visible["area"].fillna(0) == 0  # null where there is no prediction
visible["elsewhere"] = ~visible["missed"] & (visible["iou"] == 0)
visible["poor"] = (visible["iou"] > 0) & (visible["iou"] < 0.5)

# %% A kind seen in few frames tells little.
kinds = visible.groupby(["direction", "kind"]).agg(
    frames=("iou", "size"),
    takes=("take_uid", "nunique"),
    iou=("iou", "mean"),
    missed=("missed", "mean"),
    elsewhere=("elsewhere", "mean"),
    poor=("poor", "mean"),
)
worst = kinds[kinds["frames"] >= 5].sort_values("iou").head(10)
print("Hardest kinds of objects, and the share of frames in which they fail in each way")
print(worst.to_string(float_format="{:.2f}".format))

# %% Is an object called visible where it is not? Those are the frames a user is misled by.
absent = frames[frames["gt_state"] == "absent"]
ghosts = absent.assign(ghost=absent["confidence"] > 0.5).groupby(["direction", "object"])["ghost"].agg(["mean", "size"])
print("\nMost often called visible where they are not")
print(ghosts.sort_values("mean", ascending=False).head(5).to_string(float_format="{:.2f}".format))
