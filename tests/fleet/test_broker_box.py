"""The role `broker` on an empty Debian that is then booted: package, unit, hardening, reload."""

import re
from pathlib import Path

import pytest

from tests.control.venue import Venue
from tests.fixtures.waiting import eventually
from tests.fleet.boot import Box
from tests.fleet.broker import BROKER, VenueBroker, inventory
from tests.fleet.rootfs import bare, lent
from tests.fleet.test_broker import FOYER, WEST, box_at
from tests.fleet.tls import Authority

pytestmark = [pytest.mark.fleet, pytest.mark.usefixtures("box_mounts")]
EXPOSURE = 1.5


@pytest.mark.timeout(300)
def test_an_empty_debian_becomes_a_broker_that_takes_new_rights_without_dropping_anybody(
    tmp_path: Path,
) -> None:
    venue = VenueBroker(tmp_path, inventory({"foyer": [FOYER], "west": [WEST]}, [{"name": "a.b", "role": "operator"}]))
    venue.pki.mkdir()
    authority = Authority(venue.pki)
    authority.issue(BROKER, server=True)
    for name in (FOYER, WEST, "a.b"):
        authority.issue(name)
    with lent(bare(), tmp_path / "root") as root:
        with root.online():
            assert venue.provision(root.path, broker_boxes=[FOYER])[BROKER] > 0
            assert venue.provision(root.path, broker_boxes=[FOYER])[BROKER] == 0
        with Box(root, network="host") as box:
            assert box.systemctl("is-active", "mosquitto.service").stdout.strip() == "active"
            assert box.show("mosquitto.service", "User") == "mosquitto"
            assert box.run("systemd-analyze", "verify", "--man=no", "mosquitto.service").stderr == ""
            verdict = box.run("systemd-analyze", "security", "--no-pager", "mosquitto.service").stdout
            assert float(verdict.rpartition("level for mosquitto.service: ")[2].split()[0]) <= EXPOSURE
            with (
                box_at(venue.link(FOYER), FOYER) as foyer,
                box_at(venue.link(WEST), WEST) as west,
                Venue(venue.link("a.b")) as operator,
            ):
                eventually(lambda: foyer.listens and west.listens, 10.0, "both listen")
                operator.command("prompt", {"text": "hello"}, target="all")
                eventually(lambda: foyer.has("edge/all/cmd/prompt"), 5.0, "the box of the inventory hears it")
                assert west.has()
                with root.online():
                    assert venue.provision(root.path)[BROKER] == 1  # with both boxes again
                box.systemctl("reload", "mosquitto.service")
                eventually(lambda: "Reloading config." in messages(box), 5.0, "it has read them")
                operator.command("prompt", {"text": "hello"}, target="all")
                eventually(lambda: west.has("edge/all/cmd/prompt"), 5.0, "the new one hears it too")
                assert foyer.reconnects == west.reconnects == 0
            assert any(re.match(f"New client connected .* as {FOYER} ", line) for line in messages(box))


def messages(box: Box) -> list[str]:
    return [str(entry.get("MESSAGE")) for entry in box.journal("mosquitto.service")]
