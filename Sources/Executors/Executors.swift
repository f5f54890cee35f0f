import Agents
import JSON
