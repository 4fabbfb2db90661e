"""Finding and reading CIFAR-10: undamaged copies load, and each kind of damage has its own message."""

import gzip
import os
import pickle
import re
import socket
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from autograd_cnn.data import cache_dir, cifar10, load_cifar10, searched


def everything_under(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


# Layouts


def test_a_record_becomes_an_image_with_its_colours_and_the_right_way_up(home, as_binary, as_python):
    row, column = np.mgrid[:32, :32]
    planes = np.stack([row, 100 + column, np.full((32, 32), 200)]).astype(np.uint8).reshape(1, 3072)
    for version, write in zip(cifar10.TABLE.versions, (as_binary, as_python), strict=True):
        folder = home / version.folder
        folder.mkdir(parents=True)
        for name in version.files:
            (folder / name).write_bytes(write(planes, np.array([7])))
        data = load_cifar10(folder, verify=False)
        assert data.test_images.shape == (1, 32, 32, 3) and data.train_images.shape == (5, 32, 32, 3)
        assert data.test_images[0, 0, 0].tolist() == [0, 100, 200]
        assert data.test_images[0, 5, 0].tolist() == [5, 100, 200]  # down: red grows
        assert data.test_images[0, 0, 9].tolist() == [0, 109, 200]  # right: green grows
        assert data.test_labels.tolist() == [7] and data.classes[7] == "horse"


@pytest.mark.parametrize("key", ["binary", "python"])
def test_folder_parent_and_archive_give_the_same_arrays(published, home, key):
    folder = published.write_folder(key, home / "unpacked")
    archive = published.write_archive(key, home / "packed")
    renamed = home / "images.tgz"
    renamed.write_bytes(archive.read_bytes())
    for path in (folder, folder.parent, archive, archive.parent, renamed, str(folder)):
        published.check(load_cifar10(path))


@pytest.mark.parametrize("protocol", [3, 4])
def test_batches_pickled_by_python_3_load(published, home, protocol):
    published.publish(
        "python",
        [
            pickle.dumps({b"data": planes, "labels": labels.tolist()}, protocol)
            for planes, labels in zip(published.planes, published.labels, strict=True)
        ],
    )
    published.check(load_cifar10(published.write_folder("python", home)))


# Finding


def test_places_are_searched_in_order(published, home, monkeypatch):
    """Each place in turn gets a damaged copy, the last place first; the error names the place that was read."""
    monkeypatch.setenv("KERAS_HOME", str(home / "keras"))
    places = [cache_dir(), home / "keras" / "datasets", Path("data"), Path()]
    assert [place for place, _ in searched()] == places
    for place in reversed(places):
        archive = published.write_archive("binary", place)
        archive.write_bytes(b"?")
        with pytest.raises(ValueError, match=f"^{re.escape(str(archive))}: 1 bytes"):
            load_cifar10()


def test_cache_follows_the_environment(home, monkeypatch):
    assert cache_dir() == home / ".cache" / "autograd_cnn"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir() == Path("/var/cache/me/autograd_cnn")
    monkeypatch.setenv("AUTOGRAD_CNN_DATA", "~/räume und daten")
    assert cache_dir() == home / "räume und daten"


def test_a_path_is_the_only_place(published, home):
    published.write_archive("binary", cache_dir())
    with pytest.raises(FileNotFoundError):
        load_cifar10(home / "elsewhere")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (key, name)
        for key, version in zip(("binary", "python"), cifar10.TABLE.versions, strict=True)
        for name in (version.folder, *version.archive, *version.other_names)
    ],
)
def test_every_name_is_known(published, home, key, name):
    if published.version(key).folder in (name, name.rpartition("/")[2]):
        published.write_folder(key, (home / name).parent)
    else:
        home.mkdir()
        (home / name).write_bytes(published.archives[key])
    published.check(load_cifar10(home))


def test_a_whole_copy_is_found_behind_a_damaged_one(published, home):
    folder = published.write_folder("binary", home)
    (folder / "data_batch_3.bin").write_bytes(b"")
    published.write_archive("python", home)
    published.check(load_cifar10(home))


def test_an_archive_in_the_cache_is_kept_unpacked(published, home):
    archive = published.write_archive("binary", cache_dir())
    published.check(load_cifar10())
    folder = cache_dir() / "cifar-10-batches-bin"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == published.files["binary"]
    archive.unlink()
    published.check(load_cifar10())
    (folder / "test_batch.bin").unlink()
    published.write_archive("binary", cache_dir())
    published.check(load_cifar10())
    assert (folder / "test_batch.bin").exists()


def test_reading_an_archive_outside_the_cache_writes_nothing(published, home):
    published.write_archive("binary", home)
    before = everything_under(home)
    load_cifar10(home)
    assert everything_under(home.parent) == before


def test_a_cache_that_cannot_be_written_is_no_error(published, home, monkeypatch):
    published.write_archive("binary", cache_dir())
    (cache_dir() / "cifar-10-batches-bin").write_bytes(b"a file where the folder should be")
    published.check(load_cifar10())


def test_not_found_says_where_and_how_and_opens_no_connection(published, home, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("opened a socket"))
    Path("data").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        load_cifar10()
    ((size, digest),), cache = published.version("binary").archive.values(), home / ".cache" / "autograd_cnn"
    assert str(caught.value) == (
        "CIFAR-10 not found. Looked in:\n"
        f"  {cache}: does not exist\n"
        f"  {home / '.keras' / 'datasets'}: does not exist\n"
        "  data: nothing of CIFAR-10\n"
        "  .: nothing of CIFAR-10\n"
        f"download=True fetches {size / 1e6:.0f} MB. By hand: put cifar-10-binary.tar.gz in {cache} "
        f"(https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, SHA-256 {digest}). "
        "Without CIFAR-10: ag.data.load_shapes()"
    )


def test_searched_reports_right_and_wrong_sizes(published, home):
    folder = published.write_folder("binary", home)
    archive = published.write_archive("binary", home)
    published.write_folder("python", home)
    assert searched(home) == [
        (
            home,
            (
                "cifar-10-batches-bin (all sizes right), cifar-10-binary.tar.gz (size right), "
                "cifar-10-batches-py (all files)"
            ),
        )
    ]
    (folder / "data_batch_2.bin").write_bytes(b"12")
    archive.write_bytes(b"123")
    (home / "cifar-10-batches-py" / "test_batch").unlink()
    size, file_size = len(published.archives["binary"]), len(published.files["binary"]["test_batch.bin"])
    assert searched(home) == [
        (
            home,
            (
                f"cifar-10-batches-bin (data_batch_2.bin: 2 bytes, want {file_size:,}), "
                f"cifar-10-binary.tar.gz (3 bytes, want {size:,}), cifar-10-batches-py (no test_batch)"
            ),
        )
    ]


# Damage


def test_a_short_archive_and_a_web_page_are_recognised_by_their_size(published, home):
    archive = published.write_archive("binary", home)
    size = len(published.archives["binary"])
    archive.write_bytes(published.archives["binary"][:-10])
    with pytest.raises(ValueError) as caught:
        load_cifar10(archive)
    assert str(caught.value) == (
        f"{archive}: {size - 10:,} bytes, want {size:,}: cut short. "
        "Delete it, or fetch the images again with download=True"
    )
    archive.write_bytes(b"<!doctype html><title>Sign in</title>")
    with pytest.raises(ValueError, match=f": 37 bytes, want {size:,}: a web page. "):
        load_cifar10(home)
    archive.write_bytes(published.archives["binary"] + b"more")
    with pytest.raises(ValueError, match="not what was published"):
        load_cifar10(home)


@pytest.mark.parametrize("key", ["binary", "python"])
def test_one_wrong_byte_in_an_archive_is_noticed(published, home, key):
    archive = published.write_archive(key, home)
    raw = bytearray(published.archives[key])
    raw[len(raw) // 2] ^= 1
    archive.write_bytes(raw)
    for verify in (True, False):
        message = rf"SHA-256 is \w{{8}}\.{{3}}, want \w{{8}}\.{{3}}; {len(raw):,} bytes, as expected: "
        with pytest.raises(ValueError, match=message):
            load_cifar10(archive, verify=verify)


@pytest.mark.parametrize(("key", "kind"), [("binary", "SHA-256"), ("python", "MD5")])
def test_one_wrong_byte_in_any_unpacked_file_is_noticed(published, home, key, kind):
    folder = published.write_folder(key, home)
    for name, right in published.files[key].items():
        wrong = bytearray(right)
        wrong[-100] ^= 128
        (folder / name).write_bytes(wrong)
        file = re.escape(str(folder / name))
        with pytest.raises(ValueError, match=f"^{file}: {kind} is .*: the content differs"):
            load_cifar10(folder)
        (folder / name).write_bytes(right)
    published.check(load_cifar10(folder))


def test_a_missing_file_is_named(published, home):
    folder = published.write_folder("binary", home)
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_4.bin: missing, or not a regular file"):
        load_cifar10(home)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders there")
def test_pipes_and_devices_are_not_opened(published, home):
    folder = published.write_folder("binary", home)
    (folder / "test_batch.bin").unlink()
    os.mkfifo(folder / "test_batch.bin")
    with pytest.raises(FileNotFoundError, match="not a regular file"):
        load_cifar10(folder)
    os.mkfifo(home / "cifar-10-binary.tar.gz")
    with pytest.raises(FileNotFoundError, match="not found"):
        load_cifar10(home / "cifar-10-binary.tar.gz")


def test_classes_are_counted(published, home):
    published.labels[2, :] = 4
    published.publish(
        "binary",
        [
            np.concatenate([labels.astype(np.uint8)[:, None], planes], axis=1).tobytes()
            for planes, labels in zip(published.planes, published.labels, strict=True)
        ],
    )
    folder = published.write_folder("binary", home)
    with pytest.raises(ValueError, match=r"\[8, 8, 8, 8, 28, .* images of the classes, want 10 of each"):
        load_cifar10(folder)


def test_labels_beyond_nine_are_refused_even_unverified(published, home, as_binary, as_python):
    published.labels[1, 3] = 10
    for key, write in (("binary", as_binary), ("python", as_python)):
        folder = published.write_folder(key, home / key)
        name = list(published.files[key])[1]
        (folder / name).write_bytes(write(published.planes[1], published.labels[1]))
        with pytest.raises(ValueError, match=rf"{name}: label 10 at \[3\], but classes are 0\.\.9"):
            load_cifar10(folder, verify=False)


# Unverified copies


@pytest.mark.parametrize("key", ["binary", "python"])
def test_a_subset_loads_unverified_and_its_name_says_so(published, home, key, as_binary, as_python):
    folder = published.write_folder(key, home)
    write = {"binary": as_binary, "python": as_python}[key]
    for k, name in enumerate(published.files[key]):
        (folder / name).write_bytes(write(published.planes[k, :3], published.labels[k, :3]))
    published.planes, published.labels = published.planes[:, :3], published.labels[:, :3]
    with pytest.raises(ValueError, match="if you made this copy, verify=False accepts it"):
        load_cifar10(home)
    published.check(load_cifar10(home, verify=False), "CIFAR-10 (unverified copy)")


def test_an_official_copy_keeps_its_name_without_verification(published, home):
    published.check(load_cifar10(published.write_folder("python", home), verify=False))


def test_arrays_that_do_not_fit_a_batch_are_refused_even_unverified(published, home, as_python2_pickle):
    folder = published.write_folder("python", home)
    planes, labels = published.planes[0], published.labels[0].tolist()
    for data, classes, message in (
        (planes, labels[:-1], r"20 images, but labels of shape \(19,\)"),
        (np.asfortranarray(planes), labels, "its pixels are not uint8 in C order"),
        (planes.astype(np.int16), labels, "its pixels are not uint8 in C order"),
        (planes[:, :-1], labels, "cannot reshape"),
        ("no array", labels, "not a batch of CIFAR-10"),
    ):
        (folder / "test_batch").write_bytes(as_python2_pickle({"data": data, "labels": classes}))
        with pytest.raises(ValueError, match=f"test_batch: {message}"):
            load_cifar10(folder, verify=False)


def test_half_a_record_is_refused_even_unverified(published, home):
    folder = published.write_folder("binary", home)
    (folder / "data_batch_1.bin").write_bytes(b"\x01" * 3074)
    with pytest.raises(ValueError, match="_1.bin: 3,074 bytes are not a whole number of records of 3,073"):
        load_cifar10(folder, verify=False)


def test_huge_files_are_not_read(published, home):
    folder = published.write_folder("binary", home)
    published.replace(largest=1000)
    with pytest.raises(ValueError, match=r"data_batch_1.bin: [\d,]+ bytes, want at most 1,000"):
        load_cifar10(folder, verify=False)


# Hostile archives: their checksums are in the table, so that only the code that reads them can refuse them


def refused(published, home, archive, message):
    published.publish("binary", list(published.files["binary"].values()), archive)
    published.write_archive("binary", home / "archive")
    before = everything_under(home.parent)
    with pytest.raises(ValueError, match=message):
        load_cifar10(home / "archive")
    assert everything_under(home.parent) == before


def special(name, kind, target="", size=0):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_links_and_devices_in_an_archive_do_not_count_as_files(published, home, pack_archive, kind):
    (home / "secret").parent.mkdir(exist_ok=True)
    (home / "secret").write_bytes(published.files["binary"]["test_batch.bin"])
    members = [(f"cifar-10-batches-bin/{name}", raw) for name, raw in published.files["binary"].items()]
    for target in (str(home / "secret"), "cifar-10-batches-bin/data_batch_1.bin", "nowhere"):
        link = special("cifar-10-batches-bin/test_batch.bin", kind, target)
        refused(
            published,
            home,
            pack_archive([*members[:5], (link, b"")]),
            "has no regular file cifar-10-batches-bin/test_batch.bin",
        )


@pytest.mark.parametrize("prefix", ["/", "../", "cifar-10-batches-bin/../", "./", "", "other/"])
def test_only_exact_names_count(published, home, pack_archive, prefix):
    folder = "" if prefix == "" else "cifar-10-batches-bin/"
    members = [(f"{prefix}{folder}{name}", raw) for name, raw in published.files["binary"].items()]
    refused(published, home, pack_archive(members), "no regular file cifar-10-batches-bin/data_batch_1.bin")


def test_other_members_of_an_archive_are_never_written(published, home, pack_archive):
    members = [(f"cifar-10-batches-bin/{name}", raw) for name, raw in published.files["binary"].items()]
    link = special("cifar-10-batches-bin/link", tarfile.SYMTYPE, "/")
    others = [("../evil", b"x"), ("/evil", b"x"), (link, b"")]
    published.publish("binary", [raw for _, raw in members], pack_archive([*others, *members]))
    published.write_archive("binary", cache_dir())
    published.check(load_cifar10())
    assert {path.name for path in cache_dir().rglob("*") if path.is_file()} == {
        "cifar-10-binary.tar.gz",
        *published.files["binary"],
    }


def test_a_bomb_is_refused_by_the_size_it_claims(published, home):
    bomb = special("cifar-10-batches-bin/data_batch_1.bin", tarfile.REGTYPE, size=10**12)
    archive = gzip.compress(bomb.tobuf() + bytes(100_000))
    refused(published, home, archive, "data_batch_1.bin claims 1,000,000,000,000 bytes: refused")


@pytest.mark.parametrize("damage", ["cut", "other format", "empty"])
def test_a_file_that_is_not_an_archive_is_a_value_error(published, home, damage):
    raw = published.archives["binary"]
    damaged = {"cut": raw[: len(raw) // 2], "other format": b"PK" + raw[2:], "empty": b""}[damage]
    refused(published, home, damaged, "not a readable archive")


def test_a_hostile_pickle_is_named_and_runs_nothing(published, home):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(home / "executed"),)

    folder = published.write_folder("python", home)
    (folder / "data_batch_1").write_bytes(pickle.dumps(Hostile(), protocol=2))
    with pytest.raises(ValueError) as caught:
        load_cifar10(folder, verify=False)
    assert str(caught.value) == (
        f"{folder / 'data_batch_1'}: asks for {os.mkdir.__module__}.mkdir: refused. Use the binary version"
    )
    assert not (home / "executed").exists()


# Damage at many places


@pytest.mark.parametrize("key", ["binary", "python"])
@pytest.mark.parametrize("verify", [True, False])
def test_damage_anywhere_in_a_file_is_refused_or_without_checks_changes_values_only(
    published, home, damaged, key, verify
):
    folder = published.write_folder(key, home)
    file = folder / list(published.files[key])[-1]
    refused = 0
    for raw in damaged(published.files[key][file.name]):
        file.write_bytes(raw)
        try:
            data = load_cifar10(folder, verify=verify)
        except ValueError as error:
            assert str(error).startswith(f"{file}: ")
            refused += 1
        else:
            assert not verify and data.name == "CIFAR-10 (unverified copy)"
            assert data.test_images.shape[1:] == (32, 32, 3) and data.test_images.dtype == np.uint8
            assert data.test_labels.shape == (len(data.test_images),) and data.test_labels.max() < 10
    assert refused > 20


@pytest.mark.parametrize("key", ["binary", "python"])
def test_damage_anywhere_in_an_archive_is_refused(published, home, damaged, key):
    archive = published.write_archive(key, home)
    before = set(home.parent.rglob("*"))
    for raw in damaged(published.archives[key], flips=20):
        archive.write_bytes(raw)
        with pytest.raises(ValueError, match="bytes, want|the content differs"):
            load_cifar10(archive, verify=False)
    assert set(home.parent.rglob("*")) == before


def test_a_damaged_archive_of_the_right_sum_is_refused_by_the_reader(published, home, damaged):
    """As if the published archive itself were the damaged one: nothing but the reader of archives can refuse it."""
    files, whole = list(published.files["binary"].values()), published.archives["binary"]
    for raw in damaged(whole, cuts=10, flips=20, head=20):
        published.publish("binary", files, raw)
        published.write_archive("binary", home)
        try:
            data = load_cifar10(home)
        except ValueError as error:
            assert str(home / "cifar-10-binary.tar.gz") in str(error)
        else:
            published.check(data)  # the damage is behind the data, or in a date


# The real images


def root():
    return os.environ.get("CIFAR10_ROOT") or pytest.skip("CIFAR10_ROOT names no folder")


@pytest.mark.cifar10
def test_real_images_are_right():
    data = load_cifar10(root(), verify=False)
    assert data.train_images.shape == (50_000, 32, 32, 3) and data.test_images.shape == (10_000, 32, 32, 3)
    assert np.bincount(data.train_labels).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    mean = data.train_images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=1e-3)  # the published statistics
    sky = data.train_images[data.train_labels == 0, :8].mean(axis=(0, 1, 2))
    assert sky[2] > sky[0]  # above an airplane it is blue


@pytest.mark.cifar10
def test_both_versions_of_the_real_images_are_equal():
    folders = [Path(root()) / version.folder for version in cifar10.TABLE.versions]
    if not all(map(os.path.isdir, folders)):
        pytest.skip("CIFAR10_ROOT has one version only")
    binary, python = (load_cifar10(folder, verify=False) for folder in folders)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(binary, part), getattr(python, part))
