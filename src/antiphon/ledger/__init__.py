"""Metering and money: reserve, settle, void; allowances, prices, rollups, and the proof that it adds up."""
