"""The QoS profiles of the graph, each with its reason."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# Commands: every one must arrive, and only the newest counts.
COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST)

# State that is told again and again, or heard from whoever tells it: a latched publisher is heard as well.
STATE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST)

# Published state that late joiners need at once: descriptions, latched stops, training status.
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    history=HistoryPolicy.KEEP_LAST,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)

# Publishing sensors from a simulator: reliable, so that lock-step never waits for a lost sample; a best-effort
# subscriber (sensor-data QoS) still connects.
SENSOR_OUT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST)
