import numpy as np

from uses import use

X = np.random.default_rng(0).normal(size=(2, 3, 4))


def real(f):
    """A function of real numbers with real results, which have both parts of those of `f`."""

    def of_both(x):
        y = f(x)
        return np.real(y) + 2 * np.imag(y)

    return of_both


USES = [
    use("fft.hfft", lambda x: np.fft.hfft(x * (1 - 2j), 5), X),
    use("fft.hfft", lambda x: np.fft.hfft(x * (1 - 2j), axis=0, norm="ortho"), X),
    use("fft.ihfft", real(np.fft.ihfft), X), use("fft.ihfft", real(lambda x: np.fft.ihfft(x, norm="forward")), X),
    use("fft.fft2", real(np.fft.fft2), X), use("fft.ifft2", real(lambda x: np.fft.ifft2(x, (2, 5))), X),
    use("fft.rfft2", real(lambda x: np.fft.rfft2(x, axes=(0, 1))), X),
    use("fft.irfft2", lambda x: np.fft.irfft2(x * (1 - 2j)), X), use("fft.fftn", real(np.fft.fftn), X),
    use("fft.ifftn", real(lambda x: np.fft.ifftn(x, axes=(1,))), X),
    use("fft.rfftn", real(lambda x: np.fft.rfftn(x, norm="ortho")), X),
    use("fft.irfftn", lambda x: np.fft.irfftn(x * (1 - 2j), (3, 5), (0, 2)), X),
    use("fft.fftshift", np.fft.fftshift, X), use("fft.fftshift", lambda x: np.fft.fftshift(x, 1), X),
    use("fft.ifftshift", np.fft.ifftshift, X), use("fft.ifftshift", lambda x: np.fft.ifftshift(x, axes=(0, 2)), X),
]  # fmt: skip
