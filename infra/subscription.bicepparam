using 'subscription.bicep'

// azd's parameters: `azd env set ALERT_EMAILS a@contoso.com,b@contoso.com` sets one. Each has a default, so that the file
// evaluates without any; the default address belongs to nobody, and azure.yaml's first hook asks for a real one.
param resourceGroupName = 'rg-${readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor')}'
param namePrefix = readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param alertEmails = split(readEnvironmentVariable('ALERT_EMAILS', 'nobody@example.com'), ',')
param alertWebhook = readEnvironmentVariable('ALERT_WEBHOOK', '')
param alertGrouping = readEnvironmentVariable('ALERT_GROUPING', 'Token')
param readerGroupId = readEnvironmentVariable('READER_GROUP_ID', '')
param hosting = readEnvironmentVariable('HOSTING', 'FlexConsumption')
param identityResourceId = readEnvironmentVariable('EXISTING_IDENTITY_ID', '')
param enrollmentEvents = bool(readEnvironmentVariable('ENROLLMENT_EVENTS', 'false'))
param cloud = readEnvironmentVariable('AZURE_CLOUD', '')
param tags = { 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor') }
