"""Label Studio: its labelling configurations, and boxes and masks as its regions."""
