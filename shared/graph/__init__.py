"""Microsoft Graph: sign-in, transport, paging, throttling, and the decoding of tokens and devices."""
