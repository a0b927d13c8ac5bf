"""Publishing to a broker as a venue does: for replays and tools, not for the device's own messages."""

from types import TracebackType
from typing import Self

from paho.mqtt.enums import MQTTErrorCode

from edge_runtime.clock import wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.broker import address, encode, open_client
from edge_runtime.control.certificates import explain
from edge_runtime.errors import ChannelError


class Publisher:
    """A plain connection that publishes. Reconnects by itself; used from one thread."""

    def __init__(self, broker: MqttConfig) -> None:
        self._client = open_client(broker, "")
        host, port = address(broker)
        try:
            self._client.connect(host, port, broker.keepalive_s)
        except OSError as error:
            raise ChannelError(f"{broker.url}: no broker: {explain(broker, error, wall_s())}") from error
        self._client.loop_start()

    def publish(self, topic: str, payload: object) -> bool:
        """Publish a JSON payload; False when the queue is full because the broker is gone."""
        return self._client.publish(topic, encode(payload), qos=1).rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
