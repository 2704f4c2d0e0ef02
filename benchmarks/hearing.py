"""Measure what the text of a spoken digit holds, and how a model does with speakers it never heard.

    python benchmarks/hearing.py text fsdd:DIR
    python benchmarks/hearing.py speakers fsdd:DIR --data DATASET --kinds nano --set max_steps=400
    python benchmarks/hearing.py outside fsdd:DIR --data DATASET --asterisk DIR --esc DIR
    python benchmarks/hearing.py back fsdd:DIR --data DATASET
    python benchmarks/hearing.py rate fsdd:DIR

``text`` judges ways to write a sound by an RBF-SVM on the level grid, on the training part of the
Free Spoken Digit Dataset alone: held-out files (three folds by the number of the recording) and
held-out speakers, each in turn. ``speakers`` trains a nano without each speaker in turn, on a
dataset with changed copies that ``dataset build`` made of the training part, and judges it on that
speaker's unchanged recordings beside an SVM, logistic regression and a small CNN on the same texts.
With ``--readings`` nano and CNN also read each recording nine times, trimmed at 16, 20 and 24 dB
and a band of the spectrogram higher, lower or not, and their mean log probability answers.
``outside`` asks the model that ships: digits of voices that are in no training data (Debian's
packages ``asterisk-core-sounds-*-wav``, ``--asterisk`` their folder ``sounds``), and how its
probability parts the dataset's validation recordings from sounds that are no English digits:
digits in other languages, other English words, ESC-10's everyday sounds of two folds that the
model did not learn from, music: the share that it does not call unknown, the AUROC of the best
digit's probability, and the share at or above the probability that 97 % of the recordings reach.
``back`` makes a sound of each validation text and hears it again; ``rate`` times the spectrogram
beside librosa's. None of them reads the official test.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from glyphsight.codec import Profile, encode_batch, resize
from glyphsight.codec.encode import level_grids
from glyphsight.codec.sound import spectrogram, to_power, trim
from glyphsight.dataset import Record, load_dataset, write_records
from glyphsight.dataset.inspect.items import read_grids, read_profile
from glyphsight.dataset.storage import MANIFEST, read_manifest
from glyphsight.evaluate.result import Share
from glyphsight.files import write_json
from glyphsight.inference import Model
from glyphsight.inference.reading import PictureText
from glyphsight.media.sound import load_sound, save_sound
from glyphsight.models.runs import UNKNOWN
from glyphsight.sources import open_source, read_split

KINDS = ("SVM", "SVM with copies", "logistic regression", "CNN", "nano")
DEFAULT = {"width": 16, "height": 20, "palette": " ░▒▓█", "trim": 25.0}
WAYS: dict[str, dict[str, Any]] = {  # name: settings of the profile, and the range in dB
    "15x20x5, trim 20 dB": {"width": 15, "trim": 20.0},
    "15x20x5": {"width": 15},
    "16x20x5": {},
    "16x20x5, 40 dB": {"range": 40},
    "16x20x5, 60 dB": {"range": 60},
    "16x20x5, trim 20 dB": {"trim": 20.0},
    "16x20x5, trim 35 dB": {"trim": 35.0},
    "16x20x5, not trimmed": {"trim": None},
    "20x16x3": {"width": 20, "height": 16, "palette": " ▓█"},
    "20x16x4": {"width": 20, "height": 16, "palette": " ░▓█"},
    "20x16x8": {"width": 20, "height": 16, "palette": "01234567"},
    "16x12x3": {"width": 16, "height": 12, "palette": " ▓█"},
    "24x24x4": {"width": 24, "height": 24, "palette": " ░▓█"},
}


def profile_of(way: dict[str, Any]) -> Profile:
    """Return the profile of a way, with equal levels over its range in dB."""
    settings = DEFAULT | {key: value for key, value in way.items() if key != "range"}
    levels, decibels = len(settings["palette"]), way.get("range", 50)
    edges = 60 - decibels + decibels * np.arange(1, levels) / levels
    marks = tuple(int(edge * 255 / 60 + 0.5) for edge in edges)
    return Profile(**settings, format="digits", threshold=marks)


def features(grids: list[np.ndarray]) -> np.ndarray:
    """Return grids of one size as rows of numbers."""
    cells = np.stack(grids).reshape(len(grids), -1).astype(np.float32)
    return cells / max(1.0, float(cells.max()))


def name_of(source: str) -> tuple[str, int]:
    """Return speaker and number of a recording, ``.../7_theo_12.wav``."""
    _, speaker, number = (
        source.split(" copy ")[0].rsplit("/", 1)[-1].removesuffix(".wav").split("_")
    )
    return speaker, int(number)


def share(right: np.ndarray) -> str:
    """Return the share of right answers and its 95 % interval, in percent."""
    low, high = Share.of(int(right.sum()), len(right)).interval
    return f"{100 * right.mean():.1f} ({100 * low:.1f}-{100 * high:.1f})"


def text(spec: str) -> None:
    """Print right answers of the SVM for each way to write a sound."""
    batches = list(read_split(open_source(spec), "train"))
    labels = np.array([label for batch in batches for label in batch.labels])
    names = [name_of(each) for batch in batches for each in batch.ids]
    speakers, folds = np.array([s for s, _ in names]), np.array([(i - 5) // 15 for _, i in names])
    print(f"{len(labels)} recordings")
    print("| columns x rows x levels | files | speakers | each |\n|---|---|---|---|")
    for name, way in WAYS.items():
        profile = profile_of(way)
        grids = [g for b in batches for some in level_grids(b.pixels, profile) for g in some]
        cells, told = features(grids), []
        for group in (folds, speakers):
            shares = []
            for held_out in np.unique(group):
                out = group == held_out
                model = SVC(C=10).fit(cells[~out], labels[~out])
                shares.append(100 * (model.predict(cells[out]) == labels[out]).mean())
            told.append(shares)
        each = " ".join(f"{one:.0f}" for one in told[1])
        print(f"| {name} | {np.mean(told[0]):.1f} | {np.mean(told[1]):.1f} | {each} |", flush=True)


def cnn(cells: np.ndarray, classes: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Train a small CNN on level grids, [N, rows, columns], 0 to 1; return log probabilities."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = []
    for before, after in ((1, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(10))
    data, truth = torch.tensor(cells)[:, None], torch.tensor(classes)
    model(data[:2])
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=800)
    for _ in range(800):
        rows = torch.randint(len(data), (64,))
        loss = nn.functional.cross_entropy(model(data[rows]), truth[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return np.asarray(model.eval()(torch.tensor(test)[:, None]).log_softmax(dim=1))


def spectrograms(spec: str) -> dict[str, np.ndarray]:
    """Read the training recordings: name of a file to its spectrogram."""
    return {
        Path(name).name: image
        for batch in read_split(open_source(spec), "train")
        for name, image in zip(batch.ids, batch.pixels, strict=True)
    }


def readings(images: list[np.ndarray], profile: Profile) -> list[str]:
    """Encode each spectrogram nine times, one after the other."""
    ways = [replace(profile, trim=decibels) for decibels in (16.0, 20.0, 24.0)]
    texts = []
    for image in images:
        moved = [image, *(np.roll(image, band, axis=0) for band in (-1, 1))]
        moved[1][-1], moved[2][0] = moved[0][-1], moved[0][0]  # what was rolled around the edge
        texts += [encode_batch([one], way)[0] for one in moved for way in ways]
    return texts


def answers_of(scores: np.ndarray) -> np.ndarray:
    """Return the answers of log probabilities [nine readings of N recordings, digits]."""
    return np.asarray(scores.reshape(-1, 9, scores.shape[1]).mean(axis=1).argmax(axis=1))


def without_each_speaker(given: argparse.Namespace) -> None:
    """Train and judge without each speaker in turn."""
    dataset, copies, kinds = given.data, given.copies, given.kinds
    profile = read_profile(dataset)
    records = [one for split in ("train", "validation") for one in load_dataset(dataset, split)]
    told = np.array([name_of(one.source)[0] for one in records])
    if given.more:  # of no speaker, so that they are never held out
        records += [one for one in load_dataset(given.more, "train") if one.answer.isdigit()]
        told = np.append(told, [""] * (len(records) - len(told)))
    plain = np.array([" copy " not in one.source for one in records])
    turn = np.array([int(one.source.partition(" copy ")[2] or 0) for one in records])
    grids = np.stack(list(read_grids([one.picture for one in records], profile)))
    cells = grids.astype(np.float32) / (profile.levels - 1)
    classes = np.array([int(one.answer) for one in records])
    flat = cells.reshape(len(cells), -1)
    rights: dict[str, list[np.ndarray]] = {}
    images = spectrograms(given.spec) if given.readings else {}
    for speaker in sorted({*told} - {""}):
        train, test = told != speaker, (told == speaker) & plain
        clean, few = train & plain, train & (turn <= copies)
        files = [Path(one.source).name for one, own in zip(records, test, strict=True) if own]
        texts = readings([images[name] for name in files], profile) if given.readings else []
        line: list[str] = []
        for name in kinds:
            learned = few if name == "SVM with copies" else clean
            found = {}
            if name == "nano":
                found[name] = nano(given, speaker, records, train, test)
                if texts:
                    model = Model(given.out / speaker / "run")
                    heard = model.answers([PictureText(one, 0, 0, False, False) for one in texts])
                    chances = [[one.probabilities[str(n)] for n in range(10)] for one in heard]
                    found[f"{name}, nine readings"] = answers_of(np.log(np.maximum(chances, 1e-9)))
            elif name == "CNN":
                again = np.stack(list(read_grids(texts, profile))) if texts else grids[:0]
                asked = np.concatenate([cells[test], again / np.float32(profile.levels - 1)])
                scores = cnn(cells[train], classes[train], asked)
                found[name] = scores[: test.sum()].argmax(axis=1)
                if texts:
                    found[f"{name}, nine readings"] = answers_of(scores[test.sum() :])
            else:
                judge = SVC(C=10) if "SVM" in name else LogisticRegression(C=0.1, max_iter=300)
                found[name] = judge.fit(flat[learned], classes[learned]).predict(flat[test])
            for way, answers in found.items():
                rights.setdefault(way, []).append(answers == classes[test])
                line.append(f"{way} {share(rights[way][-1])}")
        print(f"{speaker}: {', '.join(line)}", flush=True)
    rng = np.random.default_rng(0)
    for name, right in rights.items():
        means = np.array([100 * one.mean() for one in right])
        drawn = means[rng.integers(0, len(means), (10_000, len(means)))].mean(axis=1)
        low, high = np.percentile(drawn, [2.5, 97.5])
        every = share(np.concatenate(right))
        print(f"{name}: speakers {means.mean():.1f} ({low:.1f}-{high:.1f}), recordings {every}")


def nano(
    given: argparse.Namespace,
    speaker: str,
    records: list[Record],
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Train a nano on some records and return its answers to others."""
    dataset, out = given.data, given.out / speaker
    out.mkdir(parents=True, exist_ok=True)
    known = train & (
        np.arange(len(train)) % 50 == 0
    )  # the last step's weights stay, whatever these say
    for split, rows in (("train", train), ("validation", known), ("test", test)):
        some = (one for one, kept in zip(records, rows, strict=True) if kept)
        write_records(some, out / f"{split}.json")
    manifest = read_manifest(dataset)
    kept = {key: manifest[key] for key in ("profile", "wordings") if key in manifest}
    write_json(out / MANIFEST, kept)
    ask = [sys.executable, "-m", "glyphsight"]
    chosen = ["label_smoothing=0.05", "evaluations=1", "checkpoints=1", *given.set]
    chosen = [word for one in chosen for word in ("--set", one)]
    run = [*ask, "train", "--model", "nano", "--data", str(out), "--out", str(out / "run"), *chosen]
    if not (out / "run" / "glyphsight.json").is_file():
        subprocess.run(run, check=True, stdout=sys.stderr)
    judge = [*ask, "evaluate", "--model", str(out / "run"), "--data", str(out)]
    judge += ["--out", str(out / "told")]
    subprocess.run(judge, check=True, stdout=sys.stderr)
    samples = map(json.loads, (out / "told" / "samples.jsonl").read_text("utf-8").splitlines())
    return np.array([int(one["answer"]) for one in samples])


def outside(given: argparse.Namespace) -> None:
    """Print answers to digits of other voices, and how no digits are told from digits."""
    from sklearn.metrics import roc_auc_score

    asked = Model(given.model)
    root = Path(given.spec.partition(":")[2])
    held_out = [one.source.partition(" ")[2] for one in load_dataset(given.data, "validation")]
    groups = {"validation": [root / name for name in held_out]}
    for voice in sorted(path for path in given.asterisk.iterdir() if path.name.count("_") > 1):
        groups[f"digits of {voice.name}"] = [voice / "digits" / f"{n}.wav" for n in range(10)]
    [english] = given.asterisk.glob("en_*_*")
    ten = {*"0123456789", "oh"}
    others = [path for path in (english / "digits").glob("*.wav") if path.stem not in ten]
    groups["other numbers, days, months"] = sorted(others)
    groups["phonetic alphabet"] = sorted((english / "phonetic").glob("*.wav"))
    groups["letters"] = sorted((english / "letters").glob("?.wav"))
    groups["announcements"] = sorted(english.glob("*.wav"))
    groups["everyday sounds"] = [
        file for file in sorted(given.esc.glob("*/*.ogg")) if file.name[0] in given.folds
    ]
    if given.music:
        groups["music"] = pieces(given.music, given.out)
    sure: dict[str, np.ndarray] = {}
    for name, files in groups.items():
        answers = asked.see(files)
        sure[name] = np.array(
            [max(p for label, p in a.probabilities.items() if label != UNKNOWN) for a in answers]
        )
        said = " ".join(one.label for one in answers) if name.startswith("digits") else ""
        right = ""
        if name in ("validation", f"digits of {english.name}"):
            truth = [file.stem.split("_")[0] for file in files]
            right = share(np.array([a.label == t for a, t in zip(answers, truth, strict=True)]))
        digits = sure["validation"]
        auroc = roc_auc_score([1] * len(digits) + [0] * len(answers), np.append(digits, sure[name]))
        accepted = share(sure[name] >= np.quantile(digits, 0.03))
        known = share(np.array([one.known for one in answers]))
        print(
            f"| {name} | {len(answers)} | {right} | {known} | {auroc:.3f} | {accepted} | {said} |"
        )


def pieces(music: Path, out: Path) -> list[Path]:
    """Cut 20 pieces of three seconds out of each file of music."""
    import soundfile

    out.mkdir(parents=True, exist_ok=True)
    files = []
    for file in sorted(music.glob("*.wav")):
        samples, rate = soundfile.read(file)
        for number in range(20):
            start = (len(samples) - 3 * rate) * number // 20
            files.append(out / f"{file.stem}_{number}.wav")
            soundfile.write(files[-1], samples[start : start + 3 * rate], rate)
    return files


def back(spec: str, dataset: Path, model: str) -> None:
    """Print what the way from a text to a sound and back loses."""
    asked = Model(model)
    profile = asked.trained.profile
    root = Path(spec.partition(":")[2])
    same, right, changed, lost = [], [], [], []
    for one in load_dataset(dataset, "validation"):
        file = root / one.source.partition(" ")[2]
        whole = next(trim(load_sound(file)[None], profile.trim or 60))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "back.wav"
            [levels] = read_grids([one.picture], profile)
            save_sound(levels, profile, whole.shape[2] / 100, path)
            again = encode_batch(load_sound(path)[None], profile)[0]
            heard = next(trim(load_sound(path)[None], profile.trim or 60))
        changed.append(np.mean([a != b for a, b in zip(one.picture, again, strict=True)]))
        first, second = (np.sqrt(to_power(resize(each, 64, 50)))[0] for each in (whole, heard))
        lost.append(np.linalg.norm(first - second) / np.linalg.norm(first))
        before, after = (
            asked.answers([PictureText(text, 1, 1, False, False)])[0].label
            for text in (one.picture, again)
        )
        same.append(before == after)
        right.append((before == one.answer, after == one.answer))
    print(f"characters changed {100 * np.mean(changed):.1f} %; same answer {share(np.array(same))}")
    for name, each in zip(("before", "after"), np.array(right).T, strict=True):
        print(f"right {name}: {share(each)}")
    print(f"spectral convergence of the mel spectrogram: {np.mean(lost):.2f}")


def rate(spec: str) -> None:
    """Print seconds of sound per second of our spectrogram and of librosa's, in turn, twice."""
    import librosa
    import soundfile

    files = sorted(Path(spec.partition(":")[2]).rglob("*_49.wav"))
    sounds = [soundfile.read(file)[0] for file in files] * 5
    length = sum(map(len, sounds)) / 8000
    settings = {"sr": 8000, "n_fft": 512, "hop_length": 80, "win_length": 200, "n_mels": 64}
    for _ in range(2):
        for name in ("glyphsight", "librosa"):
            started = time.perf_counter()
            for sound in sounds:
                if name == "glyphsight":
                    spectrogram(sound)
                else:
                    power = librosa.feature.melspectrogram(y=sound, **settings, htk=True, norm=None)
                    librosa.power_to_db(power, ref=np.max, top_db=60)
            print(f"{name}: {length / (time.perf_counter() - started):,.0f} s of sound per second")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("text", "speakers", "outside", "back", "rate"))
    parser.add_argument("spec", help="fsdd:DIR")
    parser.add_argument("--data", type=Path, help="dataset with copies, of dataset build")
    parser.add_argument("--out", type=Path, default=Path("speakers"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS[:-1])
    parser.add_argument("--set", action="append", default=[], help="of nano, as train takes it")
    parser.add_argument("--readings", action="store_true", help="nine of each recording besides")
    parser.add_argument("--more", type=Path, help="dataset of other speech, learned besides")
    parser.add_argument("--copies", type=int, default=2, help="of each recording, for the SVM")
    parser.add_argument("--asterisk", type=Path, help="folder of voices, each with digits/")
    parser.add_argument("--esc", type=Path, help="ESC-10")
    parser.add_argument("--folds", nargs="+", default=["4", "5"], help="of ESC-10")
    parser.add_argument("--music", type=Path, help="folder of WAV files")
    parser.add_argument("--model", default="hearing")
    given = parser.parse_args()
    if given.what == "text":
        text(given.spec)
    elif given.what == "outside":
        outside(given)
    elif given.what == "back":
        back(given.spec, given.data, given.model)
    elif given.what == "rate":
        rate(given.spec)
    else:
        without_each_speaker(given)


if __name__ == "__main__":
    main()
