"""``python -m autograd_cnn info`` says which images are on this machine, and where it looked."""


def test_info_names_a_folder_that_does_not_exist(autograd_cnn, tmp_path):
    done = autograd_cnn("info", AUTOGRAD_CNN_DATA=str(tmp_path / "some where"))
    assert f"{tmp_path / 'some where'}: does not exist" in done.stdout


def test_info_reports_the_images_and_the_cache(autograd_cnn, tmp_path):
    folder = tmp_path / "data"
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    (folder / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(bytes(3_000_000))
    (folder / "fashion-mnist").mkdir()
    (folder / "fashion-mnist" / "train-images-idx3-ubyte.gz").write_bytes(b"12")
    done = autograd_cnn("info", AUTOGRAD_CNN_DATA=str(folder))
    assert f"{folder}: cifar-10-batches-bin (data_batch_1.bin: 3,000,000 bytes, want 30,730,000)" in done.stdout
    assert f"{folder}: 2 files, 3 MB" in done.stdout
    assert "\nCIFAR-100  nothing of CIFAR-100 in these places\n" in done.stdout
    assert f"\nFashion    {folder}: fashion-mnist (train-images-idx3-ubyte.gz: 2 bytes, want 26,421,880)" in done.stdout
