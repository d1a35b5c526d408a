import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.interfaces import Documents, Refusal
from exporter.mongodb import chunks
from exporter.mongodb.chunks import MAX_DOCUMENT_BYTES, Chunk, Run, cut


def _sized(*sizes: int) -> Documents:
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    return Documents(bytes(offsets[-1]), offsets)


@given(st.lists(st.lists(st.integers(5, 50), max_size=8), max_size=6))
def test_cut_any_documents_keeps_order_and_limits(sizes: list[list[int]]) -> None:
    parts = [_sized(*part) for part in sizes]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "MAX_CHUNK_BYTES", 30)
        patch.setattr(chunks, "MAX_CHUNK_DOCUMENTS", 3)
        patch.setattr(chunks, "MAX_DOCUMENT_BYTES", 40)
        pieces = list(cut(parts))

    found: list[tuple[int, int | None]] = []
    for piece in pieces:
        if isinstance(piece, Refusal):
            found.append((piece.index, None))
        else:
            assert len(piece) <= 3
            assert len(piece) == 1 or sum(len(run.raw) for run in piece.runs) <= 30
            assert b"".join(piece) == b"".join(run.raw for run in piece.runs)
            found += [(piece.first + index, len(document)) for index, document in enumerate(piece)]
    expected = [size if size <= 40 else None for part in sizes for size in part]
    assert found == list(enumerate(expected))


def test_cut_parts_that_fit_go_together() -> None:
    parts = [_sized(10, 20), _sized(), _sized(30)]

    pieces = list(cut(parts))

    assert pieces == [Chunk(0, [Run(parts[0], 0, 2), Run(parts[2], 0, 1)])]


def test_cut_document_of_largest_size_is_kept_and_one_byte_more_refused() -> None:
    parts = [_sized(10, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_BYTES + 1, 10)]

    first, largest, refusal, last = cut(parts)

    assert isinstance(first, Chunk)
    assert isinstance(largest, Chunk)
    assert largest.first == 1
    assert isinstance(refusal, Refusal)
    assert (refusal.index, refusal.reason) == (2, "the document has 16,777,217 bytes; MongoDB takes at most 16,777,216")
    assert last == Chunk(3, [Run(parts[0], 3, 4)])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6).filter(lambda counts: sum(counts) > 1))
def test_halves_any_chunk_share_its_documents_evenly(counts: list[int]) -> None:
    sizes = iter(range(1, 100))
    parts = [_sized(*(next(sizes) for _ in range(count))) for count in counts]
    chunk = Chunk(7, [Run(part, 0, len(part)) for part in parts])

    left, right = chunk.halves()

    assert (left.first, right.first) == (7, 7 + len(left))
    assert 0 <= len(right) - len(left) <= 1
    assert [*left, *right] == list(chunk)
