import Agents
import HTTPServer
import Hub
import JSON
import Observe
