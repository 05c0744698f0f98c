metadata name = 'Checks'
metadata description = 'Combinations of parameters that Azure refuses late, or that do not do what they seem to.'

import { AppServiceSku, Hosting, Network, StorageRedundancy } from 'types.bicep'

@description('Regions without a pair, which copies would go to: https://learn.microsoft.com/azure/reliability/regions-paired (January 2025).')
var regionsWithoutPair = [
  'austriaeast'
  'indonesiacentral'
  'israelcentral'
  'italynorth'
  'malaysiawest'
  'mexicocentral'
  'newzealandnorth'
  'polandcentral'
  'qatarcentral'
  'spaincentral'
]

@description('A combination that is refused.')
type Problem = {
  @description('Whether it is there.')
  found: bool

  @description('What is wrong, and how to correct it.')
  sentence: string
}

@description('Whether `id` is given, and is no address of a resource of this type; the first of its parts is empty.')
func isNoId(id string, type string, parts int) bool =>
  !empty(id) && (length(split(id, '/')) != parts || !contains(toLower(id), toLower('/providers/${type}/')))

@description('The texts that are no email addresses.')
func noAddresses(texts string[]) string[] =>
  filter(
    texts,
    text =>
      length(split(text, '@')) != 2 || startsWith(text, '@') || !contains(last(split(text, '@')), '.') || !empty(filter(
        [' ', ',', ';', '<', '>'],
        mark => contains(text, mark)
      ))
  )

@description('What may be wrong with the network.')
func networkProblems(network Network) Problem[] => [
  {
    found: empty(network.?appSubnetId) != empty(network.?endpointSubnetId)
    sentence: 'Give network both appSubnetId and endpointSubnetId, or neither.'
  }
  {
    found: !empty(network.?appSubnetId) && toLower(network.?appSubnetId ?? '') == toLower(network.?endpointSubnetId ?? '')
    sentence: 'appSubnetId and endpointSubnetId must be two subnets: a delegated subnet takes no private endpoints.'
  }
  {
    found: empty(network.?appSubnetId) && !empty('${network.?blobZoneId}${network.?queueZoneId}${network.?tableZoneId}${network.?privateLinkScopeId}')
    sentence: 'The zones and the private link scope of network need appSubnetId and endpointSubnetId.'
  }
  {
    found: !empty(filter(
      [network.?appSubnetId ?? '', network.?endpointSubnetId ?? ''],
      id => isNoId(id, 'Microsoft.Network/virtualNetworks', 11)
    ))
    sentence: 'appSubnetId and endpointSubnetId must be resource IDs of subnets.'
  }
  {
    found: !empty(filter(
      [network.?blobZoneId ?? '', network.?queueZoneId ?? '', network.?tableZoneId ?? ''],
      id => isNoId(id, 'Microsoft.Network/privateDnsZones', 9)
    ))
    sentence: 'blobZoneId, queueZoneId and tableZoneId must be resource IDs of private DNS zones.'
  }
  {
    found: isNoId(network.?privateLinkScopeId ?? '', 'Microsoft.Insights/privateLinkScopes', 9)
    sentence: 'privateLinkScopeId must be the resource id of an Azure Monitor private link scope.'
  }
]

@export()
@description('What is wrong with the parameters, in sentences; empty where nothing is.')
func problems(
  emails string[],
  network Network,
  hosting Hosting,
  appServiceSku AppServiceSku,
  redundancy StorageRedundancy,
  location string,
  identityResourceId string,
  workspaceResourceId string
) string =>
  join(
    map(
      filter(
        concat(networkProblems(network), [
          {
            found: !empty(noAddresses(emails))
            sentence: 'alertEmails and alertAppAccounts take email addresses, and this is none: ${join(noAddresses(emails), ' and ')}. Separate addresses with commas.'
          }
          {
            found: hosting == 'FlexConsumption' && !empty(appServiceSku)
            sentence: 'appServiceSku needs hosting AppService: Flex Consumption has no sizes.'
          }
          {
            found: contains(redundancy, 'G') && contains(regionsWithoutPair, toLower(replace(location, ' ', '')))
            sentence: '${location} has no paired region, which ${redundancy} needs: choose Standard_ZRS.'
          }
          {
            found: isNoId(identityResourceId, 'Microsoft.ManagedIdentity/userAssignedIdentities', 9)
            sentence: 'identityResourceId must be the resource id of a user-assigned identity.'
          }
          {
            found: isNoId(workspaceResourceId, 'Microsoft.OperationalInsights/workspaces', 9)
            sentence: 'workspaceResourceId must be the resource id of a Log Analytics workspace.'
          }
        ]),
        problem => problem.found
      ),
      problem => problem.sentence
    ),
    ' '
  )
