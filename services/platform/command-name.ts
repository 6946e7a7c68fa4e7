/** The command as a user types it in the folder of the package. Messages that name a next step use it: `"${COMMAND} jobs" lists them`. */
export const COMMAND = 'npx stockmesh';
