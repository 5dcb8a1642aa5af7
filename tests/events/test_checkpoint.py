"""Checkpoints as text and as signed notes: what is written can be read, and nothing else is believed."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.checkpoint import (
    Checkpoint,
    CheckpointInvalid,
    SignerKey,
    VerifierKey,
    is_signed_by,
    open_checkpoint,
    open_note,
    origin_of,
    parse_checkpoint,
    read_unverified,
    sign_checkpoint,
)

# The example of Go's package golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECRET = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n\u2014 PeterNeumann {GO_SIGNATURE}\n"

# The example of the C2SP specification tlog-checkpoint, without its signature.
C2SP_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

ORIGIN = "oxbot/00000000-0000-4000-8000-000000000001"
KEY = SignerKey(ORIGIN, bytes(range(32)))
STRANGER = SignerKey(ORIGIN, bytes(32))
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(1, 33)))

CHECKPOINTS = st.builds(
    Checkpoint,
    origin=st.text(st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    size=st.integers(0, 2**63),
    root=st.binary(min_size=32, max_size=32),
)


def test_a_note_that_another_implementation_signed_is_believed() -> None:
    key = VerifierKey.parse(GO_KEY)

    assert open_note(GO_NOTE, [key]) == GO_TEXT
    assert str(key) == GO_KEY


def test_the_same_key_signs_the_same_note_as_another_implementation() -> None:
    assert SignerKey("PeterNeumann", GO_SECRET).sign(GO_TEXT) == GO_NOTE


def test_the_specifications_example_is_read_and_written_alike() -> None:
    checkpoint = parse_checkpoint(C2SP_TEXT)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == C2SP_TEXT


def test_extensions_after_the_root_are_left_alone() -> None:
    assert parse_checkpoint(C2SP_TEXT + "an extension\n") == parse_checkpoint(C2SP_TEXT)


@given(CHECKPOINTS)
def test_a_signed_checkpoint_opens_to_what_was_signed(checkpoint: Checkpoint) -> None:
    note = sign_checkpoint(checkpoint, KEY)

    assert open_checkpoint(note, [KEY.verifier]) == checkpoint
    assert read_unverified(note) == checkpoint
    assert sign_checkpoint(checkpoint, KEY) == note


@given(st.data())
def test_a_note_with_any_other_character_is_not_believed(data: st.DataObject) -> None:
    note = sign_checkpoint(CHECKPOINT, KEY)
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]).filter(lambda character: character != note[place]))

    with pytest.raises(CheckpointInvalid):
        open_checkpoint(note[:place] + other + note[place + 1 :], [KEY.verifier])


@given(st.integers(0, 200))
def test_a_note_cut_short_is_not_believed(length: int) -> None:
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(sign_checkpoint(CHECKPOINT, KEY)[:length], [KEY.verifier])


def test_a_note_signed_by_strangers_alone_names_them() -> None:
    with pytest.raises(CheckpointInvalid, match=f"{STRANGER.verifier.identifier().hex()}, which is no trusted key"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, STRANGER), [KEY.verifier])


def test_a_strangers_signature_beside_a_trusted_one_does_no_harm() -> None:
    ours, theirs = sign_checkpoint(CHECKPOINT, KEY), sign_checkpoint(CHECKPOINT, STRANGER)
    both = ours + theirs.partition("\n\n")[2]

    assert open_checkpoint(both, [KEY.verifier]) == CHECKPOINT
    assert open_checkpoint(both, [STRANGER.verifier]) == CHECKPOINT


def test_a_wrong_signature_of_a_trusted_key_spoils_a_note_that_another_signed() -> None:
    other = sign_checkpoint(CHECKPOINT._replace(size=8), STRANGER).partition("\n\n")[2]

    with pytest.raises(CheckpointInvalid, match="not what was signed"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, KEY) + other, [KEY.verifier, STRANGER.verifier])


def test_a_note_says_by_whom_it_claims_to_be_signed() -> None:
    note = sign_checkpoint(CHECKPOINT, KEY)

    assert is_signed_by(note, KEY.verifier)
    assert not is_signed_by(note, STRANGER.verifier)


def test_a_log_signs_under_the_name_that_its_id_gives_it() -> None:
    assert origin_of(UUID("00000000-0000-4000-8000-000000000001")) == ORIGIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        "origin\n1\nAAAA\n",
        "\n1\n" + "A" * 43 + "=\n",
        "origin\n01\n" + "A" * 43 + "=\n",
        "origin\n-1\n" + "A" * 43 + "=\n",
        "origin\n\u0661\n" + "A" * 43 + "=\n",
        "origin\n1\n" + "A" * 42 + "B=\n",
        "origin\n1\n" + "A" * 43 + "=",
        "origin\n1\n" + "A" * 43 + "=\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3+",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpccQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_signer_needs_a_name_that_a_note_can_hold(name: str) -> None:
    with pytest.raises(CheckpointInvalid):
        SignerKey(name, bytes(32))


@given(st.binary(min_size=32, max_size=32))
def test_a_verifier_key_survives_its_one_line_form(secret: bytes) -> None:
    key = SignerKey(ORIGIN, secret).verifier

    assert VerifierKey.parse(str(key)) == key
