import pytest

from edge_runtime.errors import InputError
from edge_runtime.inputs.address import expand, redact


def test_a_variable_of_the_environment_takes_its_place_in_an_address() -> None:
    environment = {"FOYER_USER": "viewer", "FOYER_PASSWORD": "s3cr3t"}
    address = "rtsp://${FOYER_USER}:${FOYER_PASSWORD}@10.0.0.7/stream"
    assert expand(address, environment) == "rtsp://viewer:s3cr3t@10.0.0.7/stream"


def test_an_address_without_variables_stays_as_it_is() -> None:
    assert expand("http://10.0.0.7/a$b{c}", {}) == "http://10.0.0.7/a$b{c}"


def test_a_missing_variable_is_named_and_what_stands_beside_it_is_not() -> None:
    with pytest.raises(InputError, match="FOYER_PASSWORD") as caught:
        expand("rtsp://viewer-77:${FOYER_PASSWORD}@10.0.0.7/stream", {})
    assert "viewer-77" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://viewer:s3cr3t@10.0.0.7:554/stream", "rtsp://***@10.0.0.7:554/stream"),
        ("rtsp://s3cr3t@10.0.0.7/stream", "rtsp://***@10.0.0.7/stream"),
        ("rtsp://viewer:s3/c@r3t?s3cr3t@10.0.0.7/stream", "rtsp://***@10.0.0.7/stream"),
        ("http://10.0.0.7/video?user=s3cr3t&pwd=s3cr3t", "http://10.0.0.7/video?user=***&pwd=***"),
        ("http://v:s3cr3t@10.0.0.7/video?token=s3cr3t", "http://***@10.0.0.7/video?token=***"),
        ("rtsp://10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("/dev/v4l/by-id/usb-046d_C920-video-index0", "/dev/v4l/by-id/usb-046d_C920-video-index0"),
        ("cannot open 'http://v:s3cr3t@a/b' twice", "cannot open 'http://***@a/b' twice"),
    ],
)
def test_user_password_and_query_values_are_hidden_and_the_rest_is_kept(address: str, shown: str) -> None:
    assert redact(address) == shown
