// The runner: claim → prepare → prompt → run → answer → respond → report, one file a step.
//
//   RunnerService ─claims─▶ Activation ──▶ Prepare ─▶ Prompt ─▶ Run ─▶ Respond ─▶ Report ─▶ ReceiptFolder
//        ▲                      │ Heartbeat beside it: a lost lease cancels all of this
//        └── slots, waiting ────┘
//
// Decisions are pure (Skills, Prompt, Launch, Response, Verdict); what they decide is done by `Activation` alone.
