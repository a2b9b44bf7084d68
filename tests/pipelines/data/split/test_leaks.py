import pandas as pd

from pipelines.data.split.leaks import find

PAIR = {"distance": 2, "correlation": 0.97, "pose": "mirrored"}


def test_each_leak_is_explained_by_the_strongest_evidence() -> None:
    rows = pd.DataFrame(
        [
            ("t1", "test/1", "c", "p", None, "test"),
            ("t2", "test/2", "c", None, None, "test"),
            ("t1", "train/copy", "c", "p", "leak", None),
            ("n1", "train/near", "c", "p", "leak", None),
            ("g1", "train/patient", "c", "p", "leak", None),
            ("i1", "train/indirect", "c", None, "leak", None),
            ("k1", "train/kept", "d", "q", None, "train"),
        ],
        columns=["sha256", "source_path", "cluster", "group", "excluded", "split"],
    ).assign(label="a")
    images = rows.drop_duplicates("sha256").sort_values("sha256", ignore_index=True)
    place = {sha256: n for n, sha256 in enumerate(images["sha256"])}
    pairs = pd.DataFrame(
        [
            {"first": place["n1"], "second": place["t1"], **PAIR},
            {"first": place["n1"], "second": place["t2"], **PAIR, "correlation": 0.99},
            {"first": place["i1"], "second": place["n1"], **PAIR},
        ]
    )
    found = find(rows, images, pairs).set_index("train_source_path")
    assert found["kind"].to_dict() == {
        "train/copy": "copy",
        "train/near": "near",
        "train/patient": "group",
        "train/indirect": "indirect",
    }
    assert found["test_source_path"].to_dict() == {
        "train/copy": "test/1",
        "train/near": "test/2",
        "train/patient": "test/1",
        "train/indirect": "test/1",
    }
    assert found.loc["train/near", "correlation"] == 0.99
    assert found["correlation"].notna().sum() == 1
