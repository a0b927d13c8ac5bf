"""What is said of certificates, from files alone. What brokers make of them: tests/fleet/test_broker.py."""

import os
from pathlib import Path

import pytest

from edge_runtime.clock import wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.certificates import Tls, certificate_fault, check_certificates, explain
from edge_runtime.errors import ConfigError
from tests.fleet.tls import Authority

URL = "mqtts://broker:8883"
DAY_S = 86400.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_good_certificate_is_nothing_to_talk_about(authority: Authority) -> None:
    config = authority.link(URL, authority.issue("foyer-left", days=31.0))
    assert certificate_fault(config, wall_s()) is None
    assert check_certificates(config, wall_s()) == []
    assert check_certificates(None, wall_s()) == []


def test_one_that_ends_within_a_month_is_a_warning(authority: Authority) -> None:
    box = authority.issue("foyer-left", days=12.0)
    (finding,) = check_certificates(authority.link(URL, box), wall_s())
    assert finding.level == "warning"
    assert finding.text.startswith(f"mqtt: certificate {box.certificate} expires on ")
    assert finding.text.endswith(", in 12 days; renew it")


def test_one_that_has_ended_is_named_with_its_day(authority: Authority) -> None:
    box = authority.issue("foyer-left", days=-1.0)
    config = authority.link(URL, box)
    fault = certificate_fault(config, wall_s())
    assert fault is not None
    assert fault.startswith(f"certificate {box.certificate} expired on 20")
    assert [finding.text for finding in check_certificates(config, wall_s())] == [f"mqtt: {fault}"]
    assert explain(config, ConnectionResetError("gone"), wall_s()) == fault


def test_a_clock_from_before_the_certificate_is_what_is_to_be_mended(authority: Authority) -> None:
    config = authority.link(URL, authority.issue("foyer-left"))
    fault = certificate_fault(config, 0.0)
    assert fault is not None
    assert "the clock of this machine says 1970-01-01 00:00 UTC; set the clock" in fault


def test_of_several_authorities_the_one_that_lasts_counts(authority: Authority) -> None:
    old = authority.issue("old-authority", days=-5.0)
    authority.file.write_bytes(old.certificate.read_bytes() + authority.file.read_bytes())
    assert certificate_fault(authority.link(URL, None), wall_s()) is None
    only_old = MqttConfig(url=URL, ca_file=str(old.certificate))
    assert "old-authority.crt expired on" in str(certificate_fault(only_old, wall_s()))


def test_files_that_are_not_here_are_a_warning_and_files_that_make_no_sense_an_error(authority: Authority) -> None:
    box = authority.issue("foyer-left")
    config = authority.link(URL, box)
    box.key.unlink()
    assert [finding.text for finding in check_certificates(config, wall_s())] == [
        f"mqtt: {box.key} is not on this machine: without it a box has no broker"
    ]
    box.key.write_text("no key")
    with pytest.raises(ConfigError, match=r"foyer-left\.key\) cannot be used"):
        Tls(config)


def test_renewed_files_are_taken_and_half_written_ones_are_not(authority: Authority) -> None:
    box = authority.issue("foyer-left", days=-1.0)
    tls = Tls(authority.link(URL, box))
    good = box.certificate.read_bytes()
    box.certificate.write_bytes(b"half")
    os.utime(box.certificate, ns=(1, 1))
    with pytest.raises(OSError, match="SSL"):
        tls.refresh()
    box.certificate.write_bytes(good)
    tls.refresh()
