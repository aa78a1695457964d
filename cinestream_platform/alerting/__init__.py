"""Alerts: looking for what is wrong, and telling channels. What is wrong is defined by ``platform.alert_condition``."""
