"""``python -m autograd_cnn info`` says where downloaded images go."""


def test_info_names_the_folder_of_images(autograd_cnn, tmp_path):
    done = autograd_cnn("info", AUTOGRAD_CNN_DATA=str(tmp_path / "some where"))
    assert f"images     {tmp_path / 'some where'}\n" in done.stdout
