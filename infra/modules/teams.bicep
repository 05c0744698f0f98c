metadata name = 'Teams'
metadata description = 'A Logic App that turns the common alert schema into a card and posts it to a Teams workflow.'

import { Tags } from 'types.bicep'

@description('Required. The Logic App\'s name.')
param name string

@description('Required. Its region.')
param location string

@description('Required. Its tags.')
param tags Tags

@description('Required. Address of the Teams workflow that the card is posted to.')
@secure()
param webhook string

@description('Required. Address of the cloud\'s portal, without a slash at its end.')
param portalUrl string

@description('Required. Where the project\'s documents are.')
param documentsUrl string

resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('../teams-workflow.json')
    parameters: {
      webhook: { value: webhook }
      portalUrl: { value: portalUrl }
      documentsUrl: { value: documentsUrl }
    }
  }
}
