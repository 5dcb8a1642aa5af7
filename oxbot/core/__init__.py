"""Everything about trading that is pure: deciders, ledger, orders, risk, strategies, paper matching."""
