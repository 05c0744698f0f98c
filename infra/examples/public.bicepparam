using '../main.bicep'

// Azure's public cloud, as most tenants have it: Flex Consumption, one alert for each token and condition.
param namePrefix = 'contoso'
param location = 'westeurope'
param alertEmails = ['intune-admins@contoso.com']
param cloud = 'AzureCloud'
