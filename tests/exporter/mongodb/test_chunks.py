import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.interfaces import Documents, Refusal
from exporter.mongodb import chunks
from exporter.mongodb.chunks import MAX_DOCUMENT_BYTES, Chunk, cut


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
            assert len(piece.documents) <= 3
            assert len(piece.documents) == 1 or sum(map(len, piece.documents)) <= 30
            found += [(piece.first + index, len(document)) for index, document in enumerate(piece.documents)]
    expected = [size if size <= 40 else None for part in sizes for size in part]
    assert found == list(enumerate(expected))


def test_cut_parts_that_fit_go_together() -> None:
    parts = [_sized(10, 20), _sized(), _sized(30)]

    pieces = list(cut(parts))

    assert pieces == [Chunk(0, [bytes(10), bytes(20), bytes(30)])]


def test_cut_document_of_largest_size_is_kept_and_one_byte_more_refused() -> None:
    parts = [_sized(10, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_BYTES + 1, 10)]

    first, largest, refusal, last = cut(parts)

    assert isinstance(first, Chunk)
    assert isinstance(largest, Chunk)
    assert largest.first == 1
    assert isinstance(refusal, Refusal)
    assert (refusal.index, refusal.reason) == (2, "the document has 16,777,217 bytes; MongoDB takes at most 16,777,216")
    assert last == Chunk(3, [bytes(10)])
