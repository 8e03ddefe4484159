"""What every VARL node shares: strict configuration, errors in one line, QoS profiles, a clean start and end."""
