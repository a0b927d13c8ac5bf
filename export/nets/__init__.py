"""Networks in torch: what students are made of."""
