metadata name = 'Routes'
metadata description = 'Alert processing rules that add an action group to the alerts of some tokens, by a text in the token\'s name.'

import { actionGroupId } from 'action-groups.bicep'
import { AlertGrouping, AlertRoute, Tags } from 'types.bicep'

@description('Required. What the rules\' names begin with: no other deployment of the group has it.')
param suffix string

@description('Required. Their tags.')
param tags Tags

@description('Required. Which texts add which groups.')
param routes AlertRoute[]

@description('Required. Resource id of the workspace, on which the alerts fire.')
param workspaceId string

@description('Required. Resource IDs of the alert rules about tokens.')
param ruleIds string[]

@description('Required. One alert for each token and condition, or one for each connector and condition, which names no token.')
param grouping AlertGrouping

@description('What every alert holds, so that a text in it would match them all.')
var everywhere = '${workspaceId} ${loadTextContent('../queries/token_critical.kql')} ${loadTextContent('../queries/token_warning.kql')}'

@description('Each text once, so that two routes of one text are one rule with two groups; one that means nothing ends the deployment.')
var texts = map(union(map(routes, route => route.text), []), text => grouping == 'Connector' ? fail('alertRoutes go by the names of tokens, and alerts of alertGrouping Connector name none: choose Token, or remove alertRoutes') : trim(text) != text || contains(toLower(everywhere), toLower(text)) ? fail('"${text}" in alertRoutes would match every alert or none: write a text that only the names of your tokens hold, without spaces at its ends') : text)

// A route has no schedule, so it holds always. A snooze, which removes all groups, comes before it.
resource rules 'Microsoft.AlertsManagement/actionRules@2021-08-08' = [
  for text in texts: {
    name: '${suffix}-route-${uniqueString(text)}'
    location: 'global'
    tags: tags
    properties: {
      description: 'Adds an action group to the alerts of Apple tokens whose name contains "${text}".'
      enabled: true
      scopes: [workspaceId]
      conditions: [
        { field: 'AlertRuleId', operator: 'Equals', values: ruleIds }
        { field: 'AlertContext', operator: 'Contains', values: [text] }
      ]
      actions: [
        {
          actionType: 'AddActionGroups'
          actionGroupIds: map(filter(routes, route => route.text == text), route => actionGroupId(route.actionGroupId))
        }
      ]
    }
  }
]
