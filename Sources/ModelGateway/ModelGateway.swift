// The model gateway: the only way from a sandbox to a model. It takes an activation's token, puts the operator's key in its
// place, keeps to the allowed models and the budget, counts tokens from what passes, and writes down every call.
//
//   request ─▶ ModelRoute ─▶ token ─▶ ModelRequest ─▶ model, budget, breaker ─▶ provider
//                                                                                  │
//   agent ◀── bytes untouched ◀── StreamMeter ◀────────────────────────────────────┘
//                                     └─▶ UsageMeter ─▶ ModelSession (ledger, budget) ─▶ audit, metrics, the Hub
